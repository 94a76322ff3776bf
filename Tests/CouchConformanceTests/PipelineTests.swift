import CouchDocument
import Foundation
import TestSupport
import Testing

/// Requests that are sent before the answers to those before them have come. Some are answered where they arrive, others through the
/// HTTP server's streams: on one connection nobody may see that.
@Suite("Pipelined requests")
struct PipelineTests {
    /// The bodies of the answers, in order, by their lengths.
    private static func bodies(_ text: String) -> [String] {
        text.components(separatedBy: "HTTP/1.1 ").dropFirst().map {
            $0.components(separatedBy: "\r\n\r\n").dropFirst().joined().trimmingCharacters(in: .newlines)
        }
    }

    @Test("are answered in their order, whether they have a body or not, are short or take long")
    func order() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        for name in ["a", "b"] {
            #expect(try await guarded.request("PUT", "/d/\(name)", "{\"is\":\"\(name)\"}").status == 201)
        }
        let map = "{\"views\":{\"v\":{\"map\":\"function (doc) { emit(doc.is, 1) }\",\"reduce\":\"_sum\"}}}"
        #expect(try await guarded.request("PUT", "/d/_design/x", map).status == 201)
        let lookUp = "{\"keys\":[\"b\"]}"
        let json = "Content-Type: application/json\r\nContent-Length: \(lookUp.utf8.count)\r\n"
        let requests =
            GuardedServer.head("GET", "/d/a")
            // The index is built first: what comes behind has to wait for it.
            + GuardedServer.head("GET", "/d/_design/x/_view/v")
            + GuardedServer.head("GET", "/d/b")
            + GuardedServer.head("POST", "/d/_design/x/_view/v?group=true", json) + lookUp
            + GuardedServer.head("GET", "/d/nobody")
            + GuardedServer.head("DELETE", "/d/nobody?rev=1-a")
            + GuardedServer.head("GET", "/d/a", "Connection: keep-alive\r\n")
            + GuardedServer.head("GET", "/d/b", "Connection: close\r\n")
        let socket = try RawSocket(port: guarded.port)
        try await socket.send(requests)
        let answers = Self.bodies(try await socket.receive(until: "never"))
        let wanted = [
            "\"is\":\"a\"", "\"value\":2", "\"is\":\"b\"", "\"key\":\"b\"", "not_found", "not_found", "\"is\":\"a\"",
            "\"is\":\"b\"",
        ]
        #expect(answers.count == wanted.count)
        for (answer, part) in zip(answers, wanted) { #expect(answer.contains(part), "\(answer)") }
    }

    @Test("of which there are very many at once are all answered")
    func many() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        #expect(try await guarded.request("PUT", "/d/a", "{}").status == 201)
        let socket = try RawSocket(port: guarded.port)
        let one = GuardedServer.head("GET", "/d/a")
        try await socket.send(
            String(repeating: one, count: 2000) + GuardedServer.head("GET", "/d/a", "Connection: close\r\n"))
        let answers = Self.bodies(try await socket.receive(until: "never"))
        #expect(answers.count == 2001)
        #expect(Set(answers).count == 1)
    }

    @Test(
        "are answered also when the client closes its side behind them, or sends what is no HTTP",
        arguments: [true, false])
    func end(isClosed: Bool) async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        #expect(try await guarded.request("PUT", "/d/a", "{\"is\":\"a\"}").status == 201)
        let map = "{\"views\":{\"v\":{\"map\":\"function (doc) { emit(doc.is, 1) }\"}}}"
        #expect(try await guarded.request("PUT", "/d/_design/x", map).status == 201)
        let socket = try RawSocket(port: guarded.port)
        try await socket.send(
            GuardedServer.head("GET", "/d/_design/x/_view/v") + GuardedServer.head("GET", "/d/a")
                + (isClosed ? "" : "no such thing\r\n\r\n"))
        if isClosed { try await socket.closeSending() }
        let answers = Self.bodies(try await socket.receive(until: "never"))
        #expect(answers.count == (isClosed ? 2 : 3))
        #expect(answers.first?.contains("\"total_rows\":1") == true)
        #expect(answers.count > 1 && answers[1].contains("\"is\":\"a\""))
    }
}
