/// A node of a row tree, decoded so far that its parts can be found.
///
/// A leaf holds rows; an inner node holds, for each child, how many rows it has, where its rows begin and what they
/// reduce to. So the number of rows before a position, and the reduction of a range, need one path down each.
final class TreeNode {
    /// A row within `bytes`.
    struct Row {
        let start: Int
        let position: Range<Int>
        let sortLength: Int
        let key: Range<Int>
        let value: Range<Int>
        var end: Int { value.upperBound }
    }

    /// A child of an inner node.
    struct Child {
        var id: Int
        /// Rows below it.
        var count: Int
        /// Bytes of keys and values below it.
        var size: Int
        /// The position of its first row.
        var first: ArraySlice<UInt8>
        /// One kept reduction for each reduce function of the tree.
        var reductions: [ArraySlice<UInt8>]
    }

    let bytes: [UInt8]
    /// 0 for a leaf.
    let height: Int
    private(set) var rows: [Row] = []
    private(set) var children: [Child] = []
    /// Rows of a leaf and of all leaves below an inner node.
    private(set) var count = 0

    /// Reads a stored node. The first byte is the height.
    init(_ bytes: [UInt8], reduceCount: Int) {
        self.bytes = bytes
        height = Int(bytes.first ?? 0)
        if height == 0 { readRows() } else { readChildren(reduceCount) }
    }

    private func readRows() {
        bytes.withUnsafeBufferPointer { buffer in
            var reader = ByteReader(buffer)
            reader.position = 1
            while !reader.isAtEnd { rows.append(Self.row(&reader)) }
        }
        count = rows.count
    }

    static func row(_ reader: inout ByteReader) -> Row {
        let start = reader.position
        let positionLength = reader.varint()
        let sortLength = reader.varint()
        let keyLength = reader.varint()
        let valueLength = reader.varint()
        return Row(
            start: start, position: reader.take(positionLength), sortLength: sortLength, key: reader.take(keyLength),
            value: reader.take(valueLength))
    }

    private func readChildren(_ reduceCount: Int) {
        bytes.withUnsafeBufferPointer { buffer in
            var reader = ByteReader(buffer)
            reader.position = 1
            while !reader.isAtEnd {
                let id = reader.varint()
                let rows = reader.varint()
                let size = reader.varint()
                let firstLength = reader.varint()
                let first = bytes[reader.take(firstLength)]
                var reductions: [ArraySlice<UInt8>] = []
                for _ in 0..<reduceCount {
                    let length = reader.varint()
                    reductions.append(bytes[reader.take(length)])
                }
                children.append(Child(id: id, count: rows, size: size, first: first, reductions: reductions))
                // A damaged file may say anything.
                count &+= rows
            }
        }
    }

    /// The bytes of a row, as a leaf holds them.
    static func appendRow(
        position: some Collection<UInt8>, sortLength: Int, key: some Collection<UInt8>, value: some Collection<UInt8>,
        to bytes: inout [UInt8]
    ) {
        bytes.appendVarint(position.count)
        bytes.appendVarint(sortLength)
        bytes.appendVarint(key.count)
        bytes.appendVarint(value.count)
        bytes.append(contentsOf: position)
        bytes.append(contentsOf: key)
        bytes.append(contentsOf: value)
    }

    /// The bytes of an inner node.
    static func encode(height: Int, children: [Child]) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(height)]
        for child in children {
            bytes.appendVarint(child.id)
            bytes.appendVarint(child.count)
            bytes.appendVarint(child.size)
            bytes.appendVarint(child.first.count)
            bytes.append(contentsOf: child.first)
            for reduction in child.reductions {
                bytes.appendVarint(reduction.count)
                bytes.append(contentsOf: reduction)
            }
        }
        return bytes
    }

    /// How children are shared out among the nodes above them, by the lengths of their first positions.
    static func groups(_ lengths: [Int]) -> [Range<Int>] {
        let bytes = lengths.reduce(0) { $0 + $1 + 16 }
        let pieces = max(
            (lengths.count + TreeWriter.maximumChildren - 1) / TreeWriter.maximumChildren,
            (bytes + TreeWriter.maximumSize - 1) / TreeWriter.maximumSize)
        let share = max(2, (lengths.count + pieces - 1) / max(1, pieces))
        var groups: [Range<Int>] = []
        var start = 0
        while start < lengths.count {
            // A single child left over joins the last node.
            var end = min(lengths.count, start + share)
            if lengths.count - end == 1 { end = lengths.count }
            groups.append(start..<end)
            start = end
        }
        return groups
    }

    /// How many rows of a leaf stand before a position.
    func rowCount(before position: UnsafeBufferPointer<UInt8>) -> Int {
        bytes.withUnsafeBufferPointer { buffer in
            var low = 0
            var high = rows.count
            while low < high {
                let middle = (low + high) / 2
                let row = UnsafeBufferPointer(rebasing: buffer[rows[middle].position])
                if compareBytes(row, position) < 0 { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// The last child whose rows begin at or before a position; the first one when all begin after it.
    func childIndex(for position: UnsafeBufferPointer<UInt8>) -> Int {
        bytes.withUnsafeBufferPointer { buffer in
            var low = 0
            var high = children.count
            while low < high {
                let middle = (low + high) / 2
                let first = children[middle].first
                let bytes = UnsafeBufferPointer(rebasing: buffer[first.startIndex..<first.endIndex])
                if compareBytes(bytes, position) <= 0 { low = middle + 1 } else { high = middle }
            }
            return max(0, low - 1)
        }
    }
}

/// One row of a tree, as a reader gets it.
struct TreeRow {
    let node: TreeNode
    let row: TreeNode.Row

    var position: ArraySlice<UInt8> { node.bytes[row.position] }
    var sortKey: ArraySlice<UInt8> { node.bytes[row.position.lowerBound..<row.position.lowerBound + row.sortLength] }
    var id: String { RowPosition.id(in: position, sortLength: row.sortLength) }
    var key: ArraySlice<UInt8> { node.bytes[row.key] }
    var value: ArraySlice<UInt8> { node.bytes[row.value] }
    /// The position without its ordinal: equal for rows of one key and document.
    var run: ArraySlice<UInt8> { position.dropLast(RowPosition.ordinalSize) }
}
