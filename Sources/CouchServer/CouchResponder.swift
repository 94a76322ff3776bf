import CouchDocument
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization

/// What Hummingbird tells of a request besides the request: its connection.
package struct CallContext: InitializableFromSource, Sendable {
    let channel: any Channel
    let logger: Logger

    package init(source: ApplicationRequestContextSource) {
        self.init(channel: source.channel, logger: source.logger)
    }

    init(channel: any Channel, logger: Logger) {
        self.channel = channel
        self.logger = logger
    }
}

/// Answers every request: takes it apart, looks who sends it, routes it, and dresses the answer as CouchDB does.
package struct CouchResponder: HTTPResponder {
    let service: CouchService
    /// A request line beyond this is refused without a word, as CouchDB does.
    private static let longestTarget = 8 << 10

    package init(service: CouchService) { self.service = service }

    package func respond(to request: Request, context: CallContext) async throws -> Response {
        let start = ContinuousClock.now
        if request.head.path?.utf8.count ?? 0 > Self.longestTarget {
            return Response(status: .badRequest, headers: [.connection: "close"], body: ResponseBody())
        }
        if let guest = service.guest, Self.isBelow(guest.prefix, request) {
            return try await guest.respond(to: request, over: context.channel)
        }
        var answer: Answer
        let origin = CrossOrigin(request.headers, settings: service.settings)
        if request.method == .options, let preflight = origin?.preflight(request.headers) {
            return response(preflight, to: request, share: nil)
        }
        let share: Workload.Share?
        (answer, share) = await service.answer(request, channel: context.channel, as: nil)
        answer.headers[.server] = CouchService.serverName
        if answer.headers[.requestID] == nil {
            answer.headers[.requestID] = RequestNumber.next()
        }
        let milliseconds = (ContinuousClock.now - start) / .milliseconds(1)
        answer.headers[.bodyTime] = String(Int(milliseconds))
        origin?.dress(&answer)
        service.figures.count(
            request.method.rawValue, target: request.head.path ?? "/", status: answer.status,
            milliseconds: milliseconds)
        return response(answer, to: request, share: share)
    }

    static func isBelow(_ prefix: String, _ request: Request) -> Bool {
        guard let path = request.head.path, path.hasPrefix(prefix) else { return false }
        return path.utf8.count == prefix.utf8.count || path.dropFirst(prefix.count).first == "/"
    }

    /// What is answered also under the greatest load: signs of life, and the settings that may be its cause.
    fileprivate static func isUrgent(_ request: Request) -> Bool {
        let path = request.head.path ?? "/"
        return path == "/_up" || path.hasPrefix("/_node/")
    }

    /// - Parameter share: Held until the answer is sent.
    private func response(_ answer: Answer, to request: Request, share: Workload.Share?) -> Response {
        let status = HTTPResponse.Status.couch(answer.status)
        if request.method == .head {
            // A body that is written while it is made has no length before, and saying 0 would be wrong.
            var headers = answer.headers
            guard let length = answer.body.length else {
                return Response(status: status, headers: headers, body: ResponseBody { try await $0.finish(nil) })
            }
            headers[.contentLength] = String(length)
            return Response(status: status, headers: headers)
        }
        let body: ResponseBody
        switch answer.body {
        case .bytes(let bytes): body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
        case .buffer(let buffer): body = ResponseBody(byteBuffer: buffer)
        case .stream(let length, let write):
            let logger = service.logger
            body = ResponseBody(contentLength: length) { writer in
                do {
                    // Long answers take turns with short ones on the common pool, not on the connection's thread.
                    try await withTaskExecutorPreference(globalConcurrentExecutor) {
                        if let share {
                            var own: any ResponseBodyWriter = BodyWriter(writer, share: share)
                            try await write(&own)
                        } else {
                            try await write(&writer)
                        }
                        try await writer.finish(nil)
                    }
                } catch let failure as ClientFailure {
                    throw failure.cause
                } catch {
                    // The status is out: all that can be told to the client is that the answer has no end.
                    logger.error(
                        "answer broke off",
                        metadata: [
                            "request": "\(request.method) \(request.head.path ?? "/")", "error": "\(error)",
                        ])
                    throw error
                }
            }
        }
        return Response(status: status, headers: answer.headers, body: body)
    }
}

extension CouchService {
    /// Answers a request, whatever comes of it.
    ///
    /// - Parameters:
    ///   - channel: What it came over; `nil` for one of this process.
    ///   - account: Who sends it, where that is known; else what it shows says so.
    /// - Returns: The answer, and the request's part of the work, to be held until the answer is sent.
    func answer(
        _ request: Request, channel: (any Channel)?, as account: Account?
    ) async -> (Answer, Workload.Share?) {
        var answer: Answer
        var share: Workload.Share?
        do {
            let taken = try workload.admit(isUrgent: CouchResponder.isUrgent(request))
            share = taken
            let call = try Call(
                request, channel: channel, share: taken, largestRequest: settings.limits.requestSize, isSecure: isSecure
            )
            answer = try await self.answer(call, as: account)
        } catch let refusal as Refusal {
            answer = Answer(refusal)
            // What is left of a body that nobody wants is not waited for.
            if refusal.status == 413 || share == nil { answer.headers[.connection] = "close" }
        } catch is ClientFailure {
            // Nobody is there any more, or nobody who speaks HTTP.
            answer = Answer(.badRequest("the request is malformed or was cut off"))
            answer.headers[.connection] = "close"
        } catch is CancellationError {
            answer = Answer(Refusal(503, "service_unavailable", "the server is stopping"))
        } catch {
            logger.error(
                "request failed",
                metadata: [
                    "request": "\(request.method) \(request.head.path ?? "/")", "error": "\(error)",
                ])
            answer = Answer(Refusal(500, "unknown_error", "\(error)"))
        }
        return (answer, share)
    }
}

/// The ten hex digits by which a request is known, never those of one shortly before.
private enum RequestNumber {
    private static let last = Atomic<UInt64>(UInt64.random(in: 0...UInt64.max))

    static func next() -> String {
        // An odd step visits every number once; the multiplication makes neighbours look apart (SplitMix64).
        var number = last.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        number = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        return String(unsafeUninitializedCapacity: 10) { digits in
            for place in 0..<10 {
                let value = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * place)) & 15
                digits[place] = value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") - 10 + value
            }
            return 10
        }
    }
}
