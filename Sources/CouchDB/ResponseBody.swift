/// The body of an answer as it comes: pieces of any size, to be read once, by one reader. The connection is held back
/// while the reader is slower than the server. A body that is dropped before its end gives its connection up.
public struct ResponseBody: AsyncSequence, Sendable {
    /// A piece, never empty.
    public typealias Element = [UInt8]
    /// A ``CouchDBError``.
    public typealias Failure = any Error

    private let source: Source

    init(exchange: Exchange, transport: CouchTransport, attempted: String) {
        source = Source(exchange: exchange, transport: transport, attempted: attempted)
    }

    /// Reads on from where an earlier iterator stopped.
    public func makeAsyncIterator() -> Iterator { Iterator(source: source) }

    /// All that is left.
    ///
    /// - Throws: ``CouchDBError/tooLarge`` when it is longer than the limit.
    public func bytes(upTo limit: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while let chunk = try await source.next() {
            guard bytes.count + chunk.count <= limit else {
                throw CouchDBError(
                    code: .tooLarge, reason: "the answer is larger than \(limit) bytes", attempted: source.attempted)
            }
            bytes += chunk
        }
        return bytes
    }

    /// The beginning, about so long; the rest is given up.
    func prefix(bytes count: Int) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count, let chunk = try await source.next() { bytes += chunk }
        return bytes
    }

    /// Reads the pieces.
    public struct Iterator: AsyncIteratorProtocol {
        fileprivate let source: Source

        /// The next piece; `nil` at the end.
        ///
        /// - Throws: ``CouchDBError/interrupted`` and its kin when the body is cut short.
        public mutating func next() async throws -> [UInt8]? { try await source.next() }
    }

    /// Gives the transfer up when nobody can read it any more.
    fileprivate final class Source: Sendable {
        let exchange: Exchange
        let transport: CouchTransport
        let attempted: String

        init(exchange: Exchange, transport: CouchTransport, attempted: String) {
            self.exchange = exchange
            self.transport = transport
            self.attempted = attempted
        }

        deinit { if !exchange.hasEnded { transport.cancel(exchange) } }

        func next() async throws -> [UInt8]? {
            do {
                return try await withTaskCancellationHandler {
                    try await exchange.next { transport.resume(exchange) }
                } onCancel: {
                    transport.cancel(exchange)
                }
            } catch let failure as TransportFailure {
                throw CouchDBError(code: failure.code, reason: failure.reason, attempted: attempted)
            }
        }
    }
}
