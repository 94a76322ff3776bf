import CouchDocument
import Dispatch
import Synchronization

/// A list function at work: it reads the rows of a view as it wants them and writes its answer piece by piece.
///
/// Runs in a JavaScript machine and on a thread of its own, which stands still while rows are read and while the client is
/// slow. Dropping the run ends it at its next piece.
package final class ListRun: Sendable {
    /// What the function gives, in this order: one head, then pieces of the body.
    package enum Event: Sendable {
        /// `{"code", "headers"}`, as far as the function gave them.
        case head(JSONObject)
        case part([UInt8])
    }

    // Pieces that wait for the client.
    private static let roomForParts = 4

    /// The answer. To be read once, and ``partWasTaken()`` told of each piece.
    package let events: AsyncThrowingStream<Event, any Error>
    private let continuation: AsyncThrowingStream<Event, any Error>.Continuation
    // From zero: a semaphore may not go while it is below the value that it began with.
    private let room = DispatchSemaphore(value: 0)

    init() {
        (events, continuation) = AsyncThrowingStream<Event, any Error>.makeStream(bufferingPolicy: .unbounded)
        for _ in 0..<Self.roomForParts { room.signal() }
        continuation.onTermination = { [room] _ in room.signal() }
    }

    /// There is room for another piece.
    package func partWasTaken() { room.signal() }

    /// What does the work. It does not hold the run, so that a run which nobody reads any more goes.
    var worker: Worker { Worker(continuation: continuation, room: room) }

    struct Worker: Sendable {
        fileprivate let continuation: AsyncThrowingStream<Event, any Error>.Continuation
        fileprivate let room: DispatchSemaphore
    }
}

extension ListRun.Worker {
    /// Runs the function to its end. Blocks.
    func run(
        _ name: String, of design: DesignDocument, head: JSONObject, request: JSON, rows: ViewResult,
        limits: JavaScriptLimits
    ) {
        do {
            let engine = JavaScriptEngine(limits: limits)
            _ = try engine.call("setRoot", JSON.object(design.document.fields).encoded())
            let pages = ListPages(rows)
            engine.provide("begin") { [continuation] response in
                continuation.yield(.head((try? JSON(parsing: response).objectValue) ?? [:]))
                return []
            }
            engine.provide("send") { [continuation, room] part in
                room.wait()
                if case .terminated = continuation.yield(.part(part)) {
                    room.signal()
                    return nil
                }
                return []
            }
            engine.provide("nextPage") { _ in pages.next() }
            let path = JSON.array(["lists", .string(name)])
            let answer = try engine.call("list", path.encoded(), JSON.object(head).encoded(), request.encoded())
            if let failure = pages.failure { throw failure }
            if let thrown = (try? JSON(parsing: answer))?["thrown"] {
                throw DesignFunctions.Thrown(value: thrown).failure
            }
            continuation.finish()
        } catch let error as JavaScriptError {
            continuation.finish(
                throwing: StoreError.failure(
                    error.excess?.word ?? "unnamed_error",
                    error.excess.map { "the list function \(name) \($0.reason) and was stopped" } ?? "\(error)"))
        } catch {
            continuation.finish(throwing: error)
        }
    }
}

/// The rows of a view for a list function, page by page. Lives on the list's thread.
private final class ListPages {
    private let rest: ViewRowPages?
    private var first: [ViewRow]?
    /// Why there were no more rows.
    private(set) var failure: (any Error)?

    init(_ result: ViewResult) {
        first = result.rows
        rest = result.rest
    }

    /// The next rows as a JSON array; an empty one at the end.
    func next() -> [UInt8] {
        var rows: [ViewRow] = []
        if let first {
            rows = first
            self.first = nil
        } else if let rest {
            let delivery = Delivery<[ViewRow]>()
            Task { delivery.complete(await Result.of { try await rest.next() ?? [] }) }
            do { rows = try delivery.wait() } catch { failure = error }
        }
        var text: [UInt8] = [UInt8(ascii: "[")]
        for row in rows {
            text.append(contentsOf: (text.count > 1 ? ",{" : "{").utf8)
            if let id = row.id {
                text.append(contentsOf: "\"id\":".utf8)
                text.append(contentsOf: JSON.string(id).encoded())
                text.append(UInt8(ascii: ","))
            }
            text.append(contentsOf: "\"key\":".utf8)
            text.append(contentsOf: row.key)
            text.append(contentsOf: ",\"value\":".utf8)
            text.append(contentsOf: row.value)
            text.append(UInt8(ascii: "}"))
        }
        text.append(UInt8(ascii: "]"))
        return text
    }
}

extension Result where Failure == any Error {
    fileprivate static func of(_ body: () async throws -> Success) async -> Self {
        do { return .success(try await body()) } catch { return .failure(error) }
    }
}
