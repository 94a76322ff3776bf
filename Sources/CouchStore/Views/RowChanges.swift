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

    mutating func insert(
        position: some Collection<UInt8>, sortLength: Int, key: some Collection<UInt8>, value: some Collection<UInt8>
    ) {
        let start = bytes.count
        TreeNode.appendRow(position: position, sortLength: sortLength, key: key, value: value, to: &bytes)
        let positionStart = bytes.count - value.count - key.count - position.count
        let range = positionStart..<positionStart + position.count
        items.append(Item(prefix: prefix(range), position: range, row: start..<bytes.count))
    }

    mutating func remove(position: some Collection<UInt8>) {
        let start = bytes.count
        bytes.append(contentsOf: position)
        items.append(Item(prefix: prefix(start..<bytes.count), position: start..<bytes.count, row: 0..<0))
    }

    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        items.removeAll(keepingCapacity: true)
    }

    private func prefix(_ range: Range<Int>) -> UInt64 {
        var value: UInt64 = 0
        for offset in 0..<8 {
            let index = range.lowerBound + offset
            value = value << 8 | UInt64(index < range.upperBound ? bytes[index] : 0)
        }
        return value
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
