import CouchDocument
import Testing

@Suite("Revisions")
struct RevisionTests {
    @Test("the empty document has the revision that CouchDB gives it")
    func empty() {
        let revision = Revision(editing: nil, isDeleted: false, body: [:])
        #expect(revision.description == "1-967a00dff5e02add41819138abb3284d")
    }

    @Test(
        "revisions are those of CouchDB for known bodies",
        arguments: [
            (#"{"hello":"world"}"#, "1-15f65339921e497348be384867bb940f"),
            (#"{"a":1}"#, "1-23202479633c2b380f79507a776743d5"),
        ])
    func known(body: String, expected: String) throws {
        let fields = try #require(try JSON(parsing: body).objectValue)
        #expect(Revision(editing: nil, isDeleted: false, body: fields).description == expected)
    }

    @Test("an edit depends on its parent, its deletion, its body's order and its attachments")
    func depends() throws {
        let first = Revision(editing: nil, isDeleted: false, body: ["a": 1, "b": 2])
        let edits = [
            first,
            Revision(editing: nil, isDeleted: false, body: ["b": 2, "a": 1]),
            Revision(editing: nil, isDeleted: true, body: ["a": 1, "b": 2]),
            Revision(editing: first, isDeleted: false, body: ["a": 1, "b": 2]),
            Revision(
                editing: nil, isDeleted: false, body: ["a": 1, "b": 2],
                attachments: [
                    AttachmentDigest(name: "x", contentType: "text/plain", md5: Array(repeating: 7, count: 16))
                ]),
        ]
        #expect(Set(edits).count == edits.count)
        #expect(edits[3].generation == 2)
    }

    @Test("a revision is read from N-text and nothing else")
    func parse() {
        #expect(Revision("3-abc") == Revision(generation: 3, hash: "abc"))
        #expect(Revision("3-a-b")?.hash == "a-b")
        for bad in ["", "3", "3-", "-abc", "x-abc", "+3-abc", "3 -a", "99999999999999999999-a"] {
            #expect(Revision(bad) == nil, "\(bad)")
        }
    }

    @Test("the higher generation wins, then the greater hash bytewise")
    func order() throws {
        let sorted = ["2-b", "10-a", "2-ab", "1-z"].compactMap { Revision($0) }.sorted().map(\.description)
        #expect(sorted == ["1-z", "2-ab", "2-b", "10-a"])
    }
}
