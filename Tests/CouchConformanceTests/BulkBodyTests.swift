import CouchDocument
import Foundation
import TestSupport
import Testing

/// `_bulk_docs` requests of many pieces: their rows are read as they come, and nothing is written before the last byte was
/// looked at.
@Suite("Large bulk requests")
struct BulkBodyTests {
    private static let text = String(repeating: "x", count: 1000)
    private static func rows(_ count: Int) -> [String] {
        (0..<count).map { "{\"_id\":\"d\($0)\",\"n\":\($0),\"text\":\"\(text)\"}" }
    }

    private func count(_ guarded: GuardedServer) async throws -> Int? {
        try JSON(parsing: try await guarded.request("GET", "/d").body)["doc_count"]?.intValue
    }

    @Test("a mistake in the last row or behind it refuses all rows, and nothing is written")
    func lastRow() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let rows = Self.rows(3000).joined(separator: ",")
        let wrong = [
            ("{\"docs\":[\(rows),{\"_id\":\"e\",}]}", "bad_request", "invalid UTF-8 JSON"),
            ("{\"docs\":[\(rows)],}", "bad_request", "invalid UTF-8 JSON"),
            ("{\"docs\":[\(rows),]}", "bad_request", "invalid UTF-8 JSON"),
            ("{\"docs\":[\(rows)]", "bad_request", "invalid UTF-8 JSON"),
            ("{\"docs\":[{\"_id\":\"_bad\"},\(rows)", "bad_request", "invalid UTF-8 JSON"),
            ("{\"docs\":[\(rows),5]}", "bad_request", "Document must be a JSON object"),
            ("{\"docs\":[\(rows),{\"_id\":\"_bad\"}]}", "illegal_docid", nil),
            ("{\"docs\":[\(rows),{\"_id\":\"e\"}],\"new_edits\":7}", "bad_request", nil),
            ("{\"docs\":[\(rows)],\"new_edits\":false}", "bad_request", nil),
            ("{\"docs\":[\(rows)],\"docs\":7}", "bad_request", "`docs` parameter must be an array."),
            ("{\"docs\":[\(rows)],\"docs\":[]}", "bad_request", "`docs` is there more than once."),
            ("{\"docs\":[\(rows)],\"d\\u006fcs\":[{}]}", "bad_request", "`docs` is there more than once."),
        ]
        for (body, error, reason) in wrong {
            let answer = try await guarded.request("POST", "/d/_bulk_docs", body)
            let json = try JSON(parsing: answer.body)
            #expect(answer.status == 400)
            #expect(json["error"]?.stringValue == error, "\(body.suffix(60)): \(json)")
            if let reason { #expect(json["reason"]?.stringValue == reason, "\(body.suffix(60))") }
        }
        #expect(try await count(guarded) == 0)
    }

    @Test("rows are answered in their order, the first of an id wins, across all transactions of a request")
    func order() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        // More than one transaction takes; the last rows have ids of the first ones.
        let ids = (0..<12_000).map { "d\($0 < 11_990 ? $0 : $0 - 11_990)" }
        let body = "{\"docs\":[\(ids.map { "{\"_id\":\"\($0)\"}" }.joined(separator: ","))]}"
        let answer = try await guarded.request("POST", "/d/_bulk_docs", body)
        #expect(answer.status == 201)
        let found = try #require(try JSON(parsing: answer.body).arrayValue)
        #expect(found.map { $0["id"]?.stringValue } == ids)
        #expect(found.dropLast(10).allSatisfy { $0["ok"] == true })
        #expect(found.suffix(10).allSatisfy { $0["error"] == "conflict" })
        #expect(try await count(guarded) == 11_990)
    }

    @Test("revisions of a replication are taken as they are, wherever new_edits stands")
    func replicated() async throws {
        let guarded = try await GuardedServer.start()
        #expect(try await guarded.request("PUT", "/d").status == 201)
        let row = #"{"_id":"a","_rev":"3-c","_revisions":{"start":3,"ids":["c","b"]},"x":1}"#
        for body in ["{\"docs\":[\(row)],\"new_edits\":false}", "{\"new_edits\":false,\"docs\":[\(row)]}"] {
            let answer = try await guarded.request("POST", "/d/_bulk_docs", body)
            #expect(answer.status == 201)
            #expect(try JSON(parsing: answer.body) == [])
        }
        let stored = try JSON(parsing: try await guarded.request("GET", "/d/a?revs=true").body)
        #expect(stored["_rev"] == "3-c")
        #expect(stored["_revisions"]?["ids"] == ["c", "b"])
    }
}
