/// Rows to put into a tree and to take out of it, in one piece of memory, sorted before they are applied.
struct RowChanges {
    struct Item {
        /// First bytes of the position, so that most comparisons need no look at the rest.
        let prefix: UInt64
        let position: Range<Int>
        /// The row as a leaf holds it; empty when the row at this position goes.
        let row: Range<Int>
        var isRemoval: Bool { row.isEmpty }
    }

    private(set) var bytes: [UInt8] = []
    private(set) var items: [Item] = []

    var isEmpty: Bool { items.isEmpty }
    /// Bytes of memory that are in use.
    var size: Int { bytes.count + items.count * MemoryLayout<Item>.stride }

    /// Adds a row. Its position is made of the sort key, the escaped id and the ordinal.
    mutating func insert(
        sortKey: UnsafeBufferPointer<UInt8>?, id: UnsafeBufferPointer<UInt8>, ordinal: Int?,
        key: UnsafeBufferPointer<UInt8>?, value: UnsafeBufferPointer<UInt8>
    ) {
        let start = bytes.count
        let sortLength = sortKey?.count ?? 0
        let positionLength = sortLength + id.count + (ordinal == nil ? 0 : RowPosition.ordinalSize)
        bytes.appendVarint(positionLength)
        bytes.appendVarint(sortLength)
        bytes.appendVarint(key?.count ?? 0)
        bytes.appendVarint(value.count)
        let positionStart = bytes.count
        if let sortKey { bytes.append(contentsOf: sortKey) }
        bytes.append(contentsOf: id)
        if let ordinal { RowPosition.append(ordinal: ordinal, to: &bytes) }
        if let key { bytes.append(contentsOf: key) }
        bytes.append(contentsOf: value)
        let position = positionStart..<positionStart + positionLength
        items.append(Item(prefix: prefix(position), position: position, row: start..<bytes.count))
    }

    mutating func remove(position: some Collection<UInt8>) {
        let start = bytes.count
        bytes.append(contentsOf: position)
        items.append(Item(prefix: prefix(start..<bytes.count), position: start..<bytes.count, row: 0..<0))
    }

    /// Hands over the rows that are to be put in, as leaves hold them.
    func forEachRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) rethrows {
        try bytes.withUnsafeBufferPointer { bytes in
            for item in items where !item.isRemoval { try body(UnsafeBufferPointer(rebasing: bytes[item.row])) }
        }
    }

    /// Lets go of the items for which that does not hold. Their bytes stay until ``removeAll()``.
    mutating func keep(where isKept: (Item) -> Bool) { items.removeAll { !isKept($0) } }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        items.removeAll(keepingCapacity: true)
    }

    private func prefix(_ range: Range<Int>) -> UInt64 {
        if range.count >= 8 {
            return bytes.withUnsafeBytes {
                UInt64(bigEndian: $0.loadUnaligned(fromByteOffset: range.lowerBound, as: UInt64.self))
            }
        }
        var value: UInt64 = 0
        for byte in bytes[range] { value = value << 8 | UInt64(byte) }
        return range.isEmpty ? 0 : value << UInt64(8 * (8 - range.count))
    }

    /// Sorts by position. Of a removal and an insertion at one position only the insertion stays; of two insertions the
    /// later one.
    mutating func sort() {
        bytes.withUnsafeBufferPointer { buffer in
            func order(_ left: Item, _ right: Item) -> Int {
                if left.prefix != right.prefix { return left.prefix < right.prefix ? -1 : 1 }
                return compareBytes(
                    UnsafeBufferPointer(rebasing: buffer[left.position]),
                    UnsafeBufferPointer(rebasing: buffer[right.position]))
            }
            items.sort { left, right in
                let result = order(left, right)
                if result != 0 { return result < 0 }
                if left.isRemoval != right.isRemoval { return left.isRemoval }
                return left.position.lowerBound < right.position.lowerBound
            }
            var kept: [Item] = []
            kept.reserveCapacity(items.count)
            for item in items {
                if let last = kept.last, order(last, item) == 0 { kept.removeLast() }
                kept.append(item)
            }
            items = kept
        }
    }
}
