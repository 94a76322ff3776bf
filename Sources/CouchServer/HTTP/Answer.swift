import CouchDocument
import HTTPTypes
import Hummingbird
import NIOCore

/// What goes back for a request.
package struct Answer: Sendable {
    /// Writes a body piece by piece; each piece goes out at once.
    package typealias Writing = @Sendable (inout any ResponseBodyWriter) async throws -> Void

    package enum Body: Sendable {
        case bytes([UInt8])
        case buffer(ByteBuffer)
        /// Of that length when it is known, else chunked.
        case stream(length: Int?, Writing)

        /// In bytes, when it is known.
        var length: Int? {
            switch self {
            case .bytes(let bytes): bytes.count
            case .buffer(let buffer): buffer.readableBytes
            case .stream(let length, _): length
            }
        }
    }

    package var status: Int
    package var headers: HTTPFields
    package var body: Body

    package init(_ status: Int, contentType: String?, _ body: Body) {
        self.status = status
        self.body = body
        headers = HTTPFields()
        headers[.cacheControl] = "must-revalidate"
        headers[.contentType] = contentType
    }

    /// JSON with CouchDB's newline at the end.
    package static func json(_ status: Int, _ value: JSON) -> Answer {
        var writer = JSONWriter()
        writer.write(value)
        writer.raw("\n")
        return Answer(status, contentType: "application/json", .bytes(writer.bytes))
    }

    /// JSON that was written already, its newline included.
    package static func json(_ status: Int, written: [UInt8]) -> Answer {
        Answer(status, contentType: "application/json", .bytes(written))
    }

    /// JSON that is written while it is made.
    package static func json(_ status: Int, streaming write: @escaping Writing) -> Answer {
        Answer(status, contentType: "application/json", .stream(length: nil, write))
    }

    /// JSON that is short, so that it is made before it goes out: in one piece, and without leaving the connection's thread.
    package static func gathered(_ status: Int, _ write: Writing) async throws -> Answer {
        var writer: any ResponseBodyWriter = BodyGatherer()
        try await write(&writer)
        guard let gatherer = writer as? BodyGatherer else { fatalError("writing does not change the writer's kind") }
        return Answer(status, contentType: "application/json", .buffer(gatherer.buffer))
    }

    package static var ok: Answer { json(200, ["ok": true]) }

    /// 304: nothing has changed since the client's copy.
    package static func notModified(_ tag: String) -> Answer {
        var answer = Answer(304, contentType: nil, .bytes([]))
        answer.headers[.eTag] = tag
        return answer
    }

    package init(_ refusal: Refusal) {
        self = .json(refusal.status, ["error": .string(refusal.error), "reason": .string(refusal.reason)])
        for (name, value) in refusal.headers { add(name, value) }
    }

    /// The same with a header set.
    package func with(_ name: HTTPField.Name, _ value: String) -> Answer {
        var answer = self
        answer.headers[name] = value
        return answer
    }

    package mutating func add(_ name: String, _ value: String) {
        guard let name = HTTPField.Name(name) else { return }
        headers.append(HTTPField(name: name, value: value))
    }
}

extension Answer.Body {
    /// The whole body, written to its end. A long one is made on the common pool.
    func gathered() async throws -> [UInt8] {
        switch self {
        case .bytes(let bytes): return bytes
        case .buffer(let buffer): return Array(buffer.readableBytesView)
        case .stream(_, let write):
            return try await withTaskExecutorPreference(globalConcurrentExecutor) {
                var writer: any ResponseBodyWriter = BodyGatherer()
                try await write(&writer)
                guard let gatherer = writer as? BodyGatherer else {
                    fatalError("writing does not change the writer's kind")
                }
                return Array(gatherer.buffer.readableBytesView)
            }
        }
    }
}

/// Gathers a body in memory.
private struct BodyGatherer: ResponseBodyWriter {
    var buffer = ByteBuffer()

    mutating func write(_ piece: ByteBuffer) async throws {
        var piece = piece
        if buffer.readableBytes == 0 { buffer = piece } else { buffer.writeBuffer(&piece) }
    }

    consuming func finish(_ trailers: HTTPFields?) async throws {}
}

extension HTTPField.Name {
    static let requestID = Self("X-Couch-Request-ID")!
    static let bodyTime = Self("X-CouchDB-Body-Time")!
    static let methodOverride = Self("X-HTTP-Method-Override")!
    static let destination = Self("Destination")!
    static let lastEventID = Self("Last-Event-ID")!
    static let pragma = Self("Pragma")!
    static let contentSecurityPolicy = Self("Content-Security-Policy")!
    static let documentID = Self("X-Couch-Id")!
    static let newRevision = Self("X-Couch-Update-NewRev")!
    static let contentMD5 = Self("Content-MD5")!
}

extension HTTPResponse.Status {
    /// The status with the phrase that CouchDB sends; some differ from today's.
    static func couch(_ code: Int) -> Self {
        switch code {
        case 302: Self(code: 302, reasonPhrase: "Moved Temporarily")
        case 404: Self(code: 404, reasonPhrase: "Object Not Found")
        case 412: Self(code: 412, reasonPhrase: "Precondition Failed")
        case 413: Self(code: 413, reasonPhrase: "Request Entity Too Large")
        case 416: Self(code: 416, reasonPhrase: "Requested Range Not Satisfiable")
        default: Self(code: code)
        }
    }
}
