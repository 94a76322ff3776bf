import CouchDocument
import Testing

@testable import Replication

@Suite("What a replication is asked to do")
struct ReplicationRequestTests {
    private func request(_ more: JSONObject = [:], source: JSON = "http://a.example:5984/s", target: JSON = "t") throws
        -> ReplicationRequest
    {
        var fields: JSONObject = ["source": source, "target": target]
        fields.merge(more)
        return try ReplicationRequest(.object(fields))
    }

    private func id(_ request: ReplicationRequest) -> String { request.baseID(uuid: "u", filterText: nil) }

    @Test(
        "names and passwords are read wherever they stand, and are never shown",
        arguments: [
            "http://u%40x:s%3Acret@a.example:5984/s",
            ["url": "http://a.example:5984/s", "auth": ["basic": ["username": "u@x", "password": "s:cret"]]],
        ] as [JSON])
    func secrets(_ source: JSON) throws {
        let request = try request(source: source)
        #expect(request.source.user == "u@x")
        #expect(request.source.shown == "http://u%40x:*****@a.example:5984/s/")
        #expect(request.source.placeText == "http://a.example:5984/s/")
        #expect(!"\(request.source.identity)".contains("cret"))
    }

    @Test("a name is a database of this server, a URL ends in the name of one")
    func places() throws {
        #expect(try request().target.place == .local("t"))
        let deep = try request(source: "https://a.example/couch/x%2Fy+z/")
        #expect(deep.source.place == .remote(server: "https://a.example/couch", database: "x/y+z"))
    }

    @Test("the id is the same for the same work and another for other work; the password is no part of it")
    func ids() throws {
        let plain = try id(request())
        #expect(plain.count == 32)
        #expect(try id(request(source: "http://a.example:5984/s/")) == plain)
        #expect(
            try id(request(source: "http://u:1@a.example:5984/s")) == id(request(source: "http://u:2@a.example:5984/s"))
        )
        for other: JSONObject in [
            ["doc_ids": ["a"]], ["selector": ["a": 1]], ["filter": "d/f"], ["since_seq": "4-x"],
            ["winning_revs_only": true],
        ] {
            #expect(try id(request(other)) != plain, "\(other)")
        }
        #expect(try id(request(["doc_ids": ["b", "a", "b"]])) == id(request(["doc_ids": ["a", "b"]])))
        #expect(
            try request(["filter": "d/f"]).baseID(uuid: "u", filterText: "one")
                != request(["filter": "d/f"]).baseID(uuid: "u", filterText: "two"))
        #expect(try request(["continuous": true]).idSuffix == "+continuous")
    }

    @Test(
        "what can not be is refused in one line without the password",
        arguments: [
            ["source": "http://u:secret@a.example"], ["source": "ftp://u:secret@a.example/db"],
            ["source": "http://u:secret@:/db"], ["source": 1], ["source": ["headers": [:]]],
            ["source": ["url": "http://u:secret@a/db", "headers": ["a b": "c"]]], ["target": ""], ["continuous": "yes"],
            ["doc_ids": "a"], ["doc_ids": ["a"], "selector": [:]], ["filter": "f"], ["worker_batch_size": 0],
        ] as [JSONObject])
    func refused(_ change: JSONObject) throws {
        var fields: JSONObject = ["source": "http://a.example:5984/s", "target": "t"]
        fields.merge(change)
        do {
            _ = try ReplicationRequest(.object(fields))
            Issue.record("\(change) was taken")
        } catch let error as ReplicationError {
            #expect(error.isFinal)
            #expect(!error.description.contains("secret"))
            #expect(!error.description.contains("\n"))
        }
    }
}
