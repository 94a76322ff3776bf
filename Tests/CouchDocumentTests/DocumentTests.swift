import CouchDocument
import Testing

@Suite("Documents")
struct DocumentTests {
    @Test("unknown members are kept, in order")
    func unknown() throws {
        var document = Document(
            fields: try #require(try JSON(parsing: #"{"_id":"a","x":{"y":1.0},"_rev":"2-b","z":[]}"#).objectValue))
        document["new"] = true
        document.revision = Revision("3-c")
        #expect(
            JSON.object(document.fields).description == #"{"_id":"a","x":{"y":1.0},"_rev":"3-c","z":[],"new":true}"#)
    }

    @Test("attachment stubs are read")
    func stubs() throws {
        let document = Document(
            id: "a",
            fields: [
                "_attachments": ["log/1.txt": ["content_type": "text/plain", "length": 5, "revpos": 2, "stub": true]]
            ])
        #expect(document.attachment("log/1.txt")?.length == 5)
        #expect(document.attachment("other") == nil)
    }

    @Test("views are set without touching what stands beside them")
    func views() throws {
        var design = DesignDocument(name: "d")
        design.document["views"] = ["lib": ["m": "exports.x = 1"], "old": ["map": "function (doc) {}"]]
        design.views = ["new": .init(map: "function (doc) { emit(1) }", reduce: "_sum")]
        #expect(design.document["views"]?["lib"] != nil)
        #expect(design.document["views"]?["old"] == nil)
        #expect(design.views == ["new": .init(map: "function (doc) { emit(1) }", reduce: "_sum")])
    }

    @Test("design documents with the same functions are the same, whatever their revision and order")
    func same() {
        var left = DesignDocument(name: "d")
        left.document["filters"] = ["f": "x"]
        left.document["views"] = [:]
        var right = DesignDocument(name: "d")
        right.document["views"] = [:]
        right.document["filters"] = ["f": "x"]
        right.document.revision = Revision("1-a")
        #expect(left.hasSameFunctions(as: right))
        right.document["filters"] = ["f": "y"]
        #expect(!left.hasSameFunctions(as: right))
    }

    @Test(
        "ids of any kind become one path segment",
        arguments: [
            ("a b", "a%20b"), ("a+b%", "a%2Bb%25"), ("a/b", "a%2Fb"), ("_design/a/b", "_design/a%2Fb"),
            ("_local/x y", "_local/x%20y"), ("ä&#?\n", "%C3%A4%26%23%3F%0A"), ("A-z_0.9~", "A-z_0.9~"),
        ])
    func paths(id: String, path: String) {
        #expect(id.percentEncodedDocumentPath == path)
    }
}
