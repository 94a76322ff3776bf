import CouchDocument
import Hummingbird
import NIOCore

/// Writes a list row by row, each on a line of its own as CouchDB does, and sends what was gathered when it is enough.
struct RowWriter: Sendable {
    var text = JSONWriter()
    private var isFirst = true
    static let enough = 64 << 10
    /// Bytes of documents that are read at once for one answer, however slowly its client takes it.
    static let mostPageBytes = 1 << 20

    /// Begins a row: the comma and the newline before it.
    mutating func beginRow() {
        if isFirst {
            isFirst = false
        } else {
            text.raw(",\n")
        }
    }

    /// Ends the list and the object around it.
    mutating func end() { text.raw("\n]}\n") }

    var isFull: Bool { text.bytes.count >= Self.enough }

    /// Sends what was gathered.
    mutating func flush(to writer: inout any ResponseBodyWriter) async throws {
        let bytes = text.take()
        if !bytes.isEmpty { try await writer.write(ByteBuffer(bytes: bytes)) }
    }
}
