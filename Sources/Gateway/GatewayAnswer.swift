import CouchDocument
import HTTPTypes
import Hummingbird
import NIOCore

/// What goes back for a request of the gateway.
struct GatewayAnswer: Sendable {
    var status: Int
    var contentType: String
    var headers: [(String, String)] = []
    var body: Body

    enum Body: Sendable {
        case bytes([UInt8])
        case stream(@Sendable (inout JSONStream) async throws -> Void)
    }

    /// JSON under the media type that Data Dispatcher's clients want: with `application/json` they keep the text.
    static func json(_ value: JSON) -> GatewayAnswer {
        GatewayAnswer(status: 200, contentType: "text/json; charset=UTF-8", body: .bytes(value.encoded()))
    }

    /// JSON that is written while it is made.
    static func json(streaming write: @escaping @Sendable (inout JSONStream) async throws -> Void) -> GatewayAnswer {
        GatewayAnswer(status: 200, contentType: "text/json; charset=UTF-8", body: .stream(write))
    }

    static func text(_ status: Int, _ text: String) -> GatewayAnswer {
        GatewayAnswer(status: status, contentType: "text/plain; charset=UTF-8", body: .bytes(Array(text.utf8)))
    }

    init(status: Int, contentType: String, body: Body) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    init(_ refusal: GatewayRefusal) {
        self = .text(refusal.status, Self.line(refusal.reason))
        if refusal.status == 503 { headers.append(("Retry-After", "1")) }
    }
}

extension GatewayAnswer {
    /// A reason as one line, whatever names it quotes. A line end behind it, as the original has some, stays.
    private static func line(_ reason: String) -> String {
        let end = reason.hasSuffix("\n") ? "\n" : ""
        var line = ""
        for scalar in reason.dropLast(end.count).unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .format: line += scalar.escaped(asASCII: true)
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line + end
    }
}

/// JSON on its way to the client: gathered, and sent when there is enough of it.
struct JSONStream {
    private var json = JSONWriter()
    private var writer: any ResponseBodyWriter
    private static let piece = 64 << 10

    init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    mutating func raw(_ text: StaticString) { json.raw(text) }
    mutating func write(_ value: JSON) { json.write(value) }
    mutating func write(_ members: JSONObject) { json.write(members) }

    /// An object whose last member is still to come: without its closing brace.
    mutating func writeOpen(_ members: JSONObject) {
        json.raw(JSON.object(members).encoded().dropLast())
    }

    /// Sends what was gathered, if it is enough.
    mutating func flow() async throws { if json.bytes.count >= Self.piece { try await flush() } }

    /// Sends what was gathered.
    mutating func flush() async throws {
        if !json.bytes.isEmpty { try await writer.write(ByteBuffer(bytes: json.take())) }
    }
}
