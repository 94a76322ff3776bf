import CouchDocument
import Foundation
import GridData
import TestSupport
import Testing
import TokenPool

@Suite("MetaCat")
struct MetaCatTests {
    private static let stream = "HTTP/1.1 200 OK\r\nContent-Type: application/json-seq\r\nConnection: close\r\n"
    private static let records =
        "\u{1E}{\"fid\":\"f1\",\"namespace\":\"ns\",\"name\":\"a b\",\"size\":7,\"metadata\":{\"core.runs\":[1],\"x\":null}}\n"
        + "\u{1E}{\"namespace\":\"ns\",\"name\":\"é:2\",\"metadata\":{}}\n"

    private func collect(_ files: MetaCat.Files) async throws -> [MetaCat.File] {
        var found: [MetaCat.File] = []
        for try await file in files { found.append(file) }
        return found
    }

    @Test("a query is sent as text, and its files are read from a stream — POST /data/query?with_meta=yes")
    func query() async throws {
        let seen = Notes<PeerRequest>()
        let peer = ScriptedPeer { connection in
            guard let request = connection.request() else { return }
            seen.add(request)
            let half = Self.records.utf8.count / 2
            connection.send(Self.stream + "Transfer-Encoding: chunked\r\n\r\n")
            for piece in [Self.records.utf8.prefix(half), Self.records.utf8.dropFirst(half)] {
                connection.send(String(piece.count, radix: 16) + "\r\n")
                connection.send(piece)
                connection.send("\r\n")
            }
            connection.send("0\r\n\r\n")
        }
        let metaCat = try MetaCat(url: peer.url + "/dune/app", token: "secret")
        let files = try await collect(metaCat.query("files from a:b where x = \"ü\"", withMetadata: true))
        #expect(files.map(\.did.description) == ["ns:a b", "ns:é:2"])
        #expect(
            files[0].fields(["size", "core.runs", "x", "none", "creator"])
                == ["size": 7, "core.runs": [1], "x": nil, "none": nil, "creator": nil])
        let request = try #require(seen.all.first)
        #expect(request.line == "POST /dune/app/data/query?with_meta=yes&with_provenance=no HTTP/1.1")
        #expect(request.header("Content-Type") == "text/json")
        #expect(request.header("Accept") == "application/json-seq, application/json, text/json")
        #expect(request.header("X-Authentication-Token") == "secret")
        #expect(String(decoding: request.body, as: UTF8.self) == "files from a:b where x = \"ü\"")
    }

    @Test("answers that were recorded are read", arguments: [false, true])
    func recorded(withMetadata: Bool) async throws {
        let name = withMetadata ? "metacat-query-answer-with-meta.json-seq" : "metacat-query-answer.json-seq"
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "InteropTests/DataDispatcher/\(name)")
        let bytes = try Data(contentsOf: file)
        let peer = ScriptedPeer { connection in
            guard connection.request() != nil else { return }
            connection.send(Self.stream + "Content-Length: \(bytes.count)\r\n\r\n")
            connection.send(bytes)
        }
        let files = try await collect(
            try MetaCat(url: peer.url).query("files from test:all", withMetadata: withMetadata))
        #expect(files.count == bytes.count { $0 == 0x1E } && !files.isEmpty)
        #expect(files[0].did.description == "test:file_01.dat")
        #expect(files[0].fields(["size", "core.runs"])["core.runs"] == (withMetadata ? [17] : .null))
    }

    @Test("an answer that is one list is read as well")
    func list() async throws {
        let peer = ScriptedPeer { connection in
            guard connection.request() != nil else { return }
            connection.answer(200, "[{\"namespace\":\"ns\",\"name\":\"a\"},{\"namespace\":\"ns\",\"name\":\"b\"}]")
        }
        let files = try await collect(try MetaCat(url: peer.url).query("files"))
        #expect(files.map(\.did.name) == ["a", "b"])
        #expect(files.map(\.record) == [["namespace": "ns", "name": "a"], ["namespace": "ns", "name": "b"]])
    }

    @Test("a stream that is cut is no answer, wherever it is cut")
    func cut() async throws {
        for length in [10, Self.records.utf8.count - 5] {
            let peer = ScriptedPeer { connection in
                guard connection.request() != nil else { return }
                connection.send(Self.stream + "\r\n")
                connection.send(Self.records.utf8.prefix(length))
                connection.end()
            }
            let error = await #expect(throws: GridError.self) {
                _ = try await collect(try MetaCat(url: peer.url).query("files"))
            }
            #expect(error?.code == .badAnswer)
        }
    }

    @Test("a refusal is told in MetaCat's words")
    func refused() async throws {
        let peer = ScriptedPeer { connection in
            guard connection.request() != nil else { return }
            let text = "Syntax error in MQL query\nLine 1"
            connection.send(
                "HTTP/1.1 400 Bad\r\nContent-Type: text/html\r\nContent-Length: \(text.utf8.count)\r\n\r\n" + text)
        }
        let error = await #expect(throws: GridError.self) {
            _ = try await collect(try MetaCat(url: peer.url).query("files from"))
        }
        #expect(error?.description == "MetaCat at \(peer.url): POST /data/query: 400 Syntax error in MQL query")
    }

    @Test("a record that names no file is told")
    func nameless() async throws {
        let peer = ScriptedPeer { connection in
            guard connection.request() != nil else { return }
            connection.answer(200, "[{\"namespace\":\"a:b\",\"name\":\"a\"}]")
        }
        let error = await #expect(throws: GridError.self) {
            _ = try await collect(try MetaCat(url: peer.url).query("files"))
        }
        #expect(error?.description == "MetaCat at \(peer.url): a record without namespace and name")
    }

    @Test("a URL that is none is told without its secrets")
    func badURL() {
        let error = #expect(throws: GridError.self) { try MetaCat(url: "ftp://me:secret@host/x") }
        #expect(error?.description.contains("secret") == false)
    }
}
