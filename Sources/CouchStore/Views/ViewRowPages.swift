import Synchronization

/// The rows of a large answer after its first page, read as they are wanted, all from one snapshot of the index.
package final class ViewRowPages: Sendable {
    /// Rows of a page, and about how many bytes of them: a row that emits a whole document can be large. Answers of no
    /// more are read at once and hold no snapshot.
    static let length = 1000
    static let bytes = 1 << 20

    private let read: @Sendable () async throws -> [ViewRow]?
    /// Held for as long as the snapshot is.
    private let place: LongRead

    /// - Parameters:
    ///   - left: What is left of the answer.
    ///   - read: Reads a page of that from the snapshot and takes it off; `nil` when nothing is left.
    init<Left: Sendable>(
        _ place: LongRead, left: Left, read: @escaping @Sendable (inout Left) async throws -> [ViewRow]?
    ) {
        self.place = place
        let rest = Mutex(left)
        self.read = {
            var left = rest.withLock { $0 }
            let rows = try await read(&left)
            rest.withLock { [left] in $0 = left }
            return rows
        }
    }

    /// The next rows; `nil` when there are no more. To be called by one reader, one page after the other.
    package func next() async throws -> [ViewRow]? { try await read() }
}

extension ViewQueryRun {
    /// Takes the ranks of the next page, in reading order, from those that are left.
    func takePage(from ranges: inout [Range<Int>]) throws -> [Range<Int>] {
        var taken: [Range<Int>] = []
        var rows = ViewRowPages.length
        var bytes = ViewRowPages.bytes
        while rows > 0, bytes > 0, let first = ranges.first {
            let most = min(first.count, rows)
            let window = plan.descending ? first.suffix(most) : first.prefix(most)
            let (count, size) = try reader.count(of: window, upTo: bytes, backwards: plan.descending)
            if plan.descending {
                taken.append(first.upperBound - count..<first.upperBound)
                ranges[0] = first.lowerBound..<first.upperBound - count
            } else {
                taken.append(first.lowerBound..<first.lowerBound + count)
                ranges[0] = first.lowerBound + count..<first.upperBound
            }
            if ranges[0].isEmpty { ranges.removeFirst() }
            rows -= count
            bytes -= size
            if count < most { break }
        }
        return taken
    }
}
