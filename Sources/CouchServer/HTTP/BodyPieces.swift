import HTTPTypes
import Hummingbird
import NIOCore

/// The pieces of a request's body as they come. Waiting for them is no work of the server's.
struct BodyPieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let body: RequestBody
    let share: Workload.Share
    /// The most bytes of the whole body.
    let limit: Int

    struct AsyncIterator: AsyncIteratorProtocol {
        fileprivate var base: RequestBody.AsyncIterator
        fileprivate let share: Workload.Share
        fileprivate var left: Int

        /// - Throws: ``ClientFailure`` when the rest does not come, 413 when it is too much.
        mutating func next() async throws -> ByteBuffer? {
            share.rest()
            defer { share.resume() }
            let piece: ByteBuffer?
            do {
                piece = try await base.next()
            } catch {
                throw ClientFailure(cause: error)
            }
            guard let piece else { return nil }
            left -= piece.readableBytes
            if left < 0 { throw Refusal.requestTooLarge }
            return piece
        }
    }

    func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(base: body.makeAsyncIterator(), share: share, left: limit)
    }
}

/// The pieces of a body that stays in memory: each takes room of what there is for all requests.
struct KeptPieces {
    private var base: BodyPieces.AsyncIterator?
    private var whole: ByteBuffer?
    private let share: Workload.Share?
    private var left: Int

    init(_ pieces: BodyPieces, share: Workload.Share, limit: Int) {
        base = pieces.makeAsyncIterator()
        self.share = share
        left = limit
    }

    /// A body that has its room already.
    init(whole: ByteBuffer) {
        self.whole = whole
        share = nil
        left = 0
    }

    mutating func next() async throws -> ByteBuffer? {
        if let whole {
            self.whole = nil
            return whole
        }
        guard let piece = try await base?.next() else { return nil }
        left -= piece.readableBytes
        if left < 0 { throw Refusal.requestTooLarge }
        try share?.hold(bytes: piece.readableBytes)
        return piece
    }
}

/// The client's side of the connection broke, or what it sent is no HTTP: nobody is there to be answered.
struct ClientFailure: Error {
    let cause: any Error
}

/// Writes an answer's body. Waiting for the client to take it is no work of the server's.
struct BodyWriter: ResponseBodyWriter {
    private var base: any ResponseBodyWriter
    private let share: Workload.Share

    init(_ base: any ResponseBodyWriter, share: Workload.Share) {
        self.base = base
        self.share = share
    }

    mutating func write(_ buffer: ByteBuffer) async throws {
        share.rest()
        defer { share.resume() }
        do {
            try await base.write(buffer)
        } catch {
            throw ClientFailure(cause: error)
        }
    }

    consuming func finish(_ trailers: HTTPFields?) async throws { try await base.finish(trailers) }
}
