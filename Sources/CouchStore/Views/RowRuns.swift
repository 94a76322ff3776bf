#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The rows of an index that is built for the first time, sorted piece by piece into a file that goes with its last user,
/// so that a build of any size needs little memory and writes every node once.
final class RowRuns {
    private let descriptor: Int32
    private let path: String
    private var end = 0
    /// For each piece, where the rows of each tree stand.
    private var runs: [[Range<Int>]] = []

    /// Makes the file, without a name, beside that one.
    init(beside path: String) throws {
        self.path = path + ".rows"
        descriptor = open(self.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        if descriptor < 0 { throw Self.failure("make", self.path) }
        unlink(self.path)
    }

    deinit { close(descriptor) }

    private static func failure(_ attempt: String, _ path: String) -> StoreError {
        let reason = String(cString: strerror(errno))
        return .failure("internal_server_error", "can not \(attempt) the file of sorted rows \(path): \(reason)")
    }

    /// Adds a piece: the sorted rows of every tree.
    func append(_ trees: [RowChanges]) throws {
        var ranges: [Range<Int>] = []
        var buffer: [UInt8] = []
        for rows in trees {
            let start = end
            try rows.forEachRow { row in
                buffer.append(contentsOf: row)
                if buffer.count >= 1 << 18 { try write(&buffer) }
            }
            try write(&buffer)
            ranges.append(start..<end)
        }
        runs.append(ranges)
    }

    private func write(_ buffer: inout [UInt8]) throws {
        var start = 0
        while start < buffer.count {
            let written = buffer.withUnsafeBytes { bytes in
                pwrite(descriptor, bytes.baseAddress! + start, bytes.count - start, off_t(end))
            }
            if written < 0 && errno == EINTR { continue }
            if written <= 0 { throw Self.failure("write", path) }
            start += written
            end += written
        }
        buffer.removeAll(keepingCapacity: true)
    }

    /// Hands over the rows of a tree from all pieces, in order.
    func merge(tree: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> Void) throws {
        var readers: [Reader] = []
        for run in runs {
            var reader = Reader(range: run[tree])
            if try reader.advance(self) { readers.append(reader) }
        }
        // A heap with the lowest row at its top.
        for index in stride(from: readers.count / 2 - 1, through: 0, by: -1) { Self.sink(&readers, index) }
        while !readers.isEmpty {
            try readers[0].withRow(body)
            if try !readers[0].advance(self) {
                readers.swapAt(0, readers.count - 1)
                readers.removeLast()
            }
            Self.sink(&readers, 0)
        }
    }

    private static func sink(_ readers: inout [Reader], _ start: Int) {
        var index = start
        while true {
            var lowest = index
            let left = 2 * index + 1
            if left < readers.count && readers[left].precedes(readers[lowest]) { lowest = left }
            if left + 1 < readers.count && readers[left + 1].precedes(readers[lowest]) { lowest = left + 1 }
            if lowest == index { return }
            readers.swapAt(index, lowest)
            index = lowest
        }
    }

    /// Reads the rows of one tree in one piece.
    private struct Reader {
        /// What is not in the buffer yet.
        var range: Range<Int>
        private var buffer: [UInt8] = []
        private var row = 0..<0
        private var position = 0..<0

        init(range: Range<Int>) { self.range = range }

        func withRow(_ body: (UnsafeBufferPointer<UInt8>) throws -> Void) rethrows {
            try buffer.withUnsafeBufferPointer { try body(UnsafeBufferPointer(rebasing: $0[row])) }
        }

        func precedes(_ other: Reader) -> Bool {
            buffer.withUnsafeBufferPointer { own in
                other.buffer.withUnsafeBufferPointer { others in
                    compareBytes(
                        UnsafeBufferPointer(rebasing: own[position]),
                        UnsafeBufferPointer(rebasing: others[other.position])) < 0
                }
            }
        }

        /// Goes to the next row; `false` at the end.
        mutating func advance(_ file: RowRuns) throws -> Bool {
            var wanted = 0
            while true {
                let found = buffer.withUnsafeBufferPointer { buffer -> TreeNode.Row? in
                    let rest = buffer.count - row.upperBound
                    // Four lengths of at most ten bytes stand before the row.
                    guard rest >= 40 || (range.isEmpty && rest > 0) else { return nil }
                    var reader = ByteReader(buffer)
                    reader.position = row.upperBound
                    let position = reader.varint()
                    _ = reader.varint()
                    let content = reader.varint() + reader.varint()
                    let end = reader.position + position + content
                    wanted = end - row.upperBound
                    if end > buffer.count { return nil }
                    reader.position = row.upperBound
                    return TreeNode.row(&reader)
                }
                if let found {
                    row = found.start..<found.end
                    position = found.position
                    return true
                }
                if range.isEmpty { return false }
                try fill(file, wanted)
            }
        }

        private mutating func fill(_ file: RowRuns, _ wanted: Int) throws {
            buffer.removeSubrange(0..<row.upperBound)
            row = 0..<0
            let start = buffer.count
            let count = min(range.count, max(1 << 16, wanted))
            buffer.append(contentsOf: repeatElement(0, count: count))
            var filled = 0
            while filled < count {
                let read = buffer.withUnsafeMutableBytes { bytes in
                    pread(
                        file.descriptor, bytes.baseAddress! + start + filled, count - filled,
                        off_t(range.lowerBound + filled))
                }
                if read < 0 && errno == EINTR { continue }
                if read <= 0 { throw RowRuns.failure("read", file.path) }
                filled += read
            }
            range = range.lowerBound + count..<range.upperBound
        }
    }
}
