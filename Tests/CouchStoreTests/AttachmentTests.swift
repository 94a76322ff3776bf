import CouchDocument
import CouchStore
import Foundation
import Testing

@Suite("Attachments")
struct AttachmentTests {
    private func bytes(_ database: StoredDatabase, _ id: String, _ name: String) async throws -> [UInt8]? {
        guard let attachment = try await database.read(id)?.attachments.first(where: { $0.name == name }) else {
            return nil
        }
        let content = try await database.content(of: attachment)
        var result: [UInt8] = []
        while result.count < content.length {
            result += try await content.read(at: result.count, count: 100_000)
        }
        return result
    }

    @Test("come with the document, in order, with CouchDB's digest and stub")
    func inline() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let revision = try await database.put(
                "a",
                attachments: [
                    EditedAttachment(name: "z.txt", contentType: "text/plain", content: .bytes(Array("hello".utf8))),
                    EditedAttachment(name: "dir/a b", content: .bytes([])),
                ])
            let stored = try #require(try await database.read("a"))
            #expect(stored.attachments.map(\.name) == ["z.txt", "dir/a b"])
            #expect(
                stored.attachments[0].stub() == [
                    "content_type": "text/plain", "revpos": 1, "digest": "md5-XUFAKrxLKna5cZ2REBfFkg==", "length": 5,
                    "stub": true,
                ])
            #expect(try await bytes(database, "a", "z.txt") == Array("hello".utf8))
            #expect(try await bytes(database, "a", "dir/a b") == [])
            let digests = stored.attachments.map {
                AttachmentDigest(name: $0.name, contentType: $0.contentType, md5: $0.md5)
            }
            #expect(revision == Revision(editing: nil, isDeleted: false, body: [:], attachments: digests))
        }
    }

    @Test("stay while their stubs are there, keep the generation at which they were written, and go without")
    func stubs() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            let first = try await database.put(
                "a", attachments: [EditedAttachment(name: "x", content: .bytes([1, 2, 3]))])
            let second = try await database.put(
                "a", ["n": 2], after: first,
                attachments: [
                    EditedAttachment(name: "x", content: .stub), EditedAttachment(name: "y", content: .bytes([4])),
                ])
            let stored = try #require(try await database.read("a"))
            #expect(stored.attachments.map(\.revisionPosition) == [1, 2])
            #expect(try await bytes(database, "a", "x") == [1, 2, 3])
            let refused = try await database.write(
                Edit(id: "a", parent: second, body: [:], attachments: [EditedAttachment(name: "n", content: .stub)]))
            #expect(
                refused.error == StoreError(.missingStub, "Invalid attachment stub in a for n"))
            _ = try await database.put("a", after: second)
            #expect(try await database.read("a")?.hasAttachments == false)
        }
    }

    @Test("large ones are taken in piece by piece and read from anywhere; a compaction removes those that nobody has")
    func large() async throws {
        try await TemporaryStore.withDatabase { database, temporary in
            var random = SeededRandom(seed: 7)
            let content = (0..<1_000_003).map { _ in UInt8.random(in: 0...255, using: &random) }
            let upload = database.beginUpload()
            for start in stride(from: 0, to: content.count, by: 65_536) {
                try await upload.append(Array(content[start..<min(start + 65_536, content.count)]))
            }
            let uploaded = try await upload.finish()
            #expect(uploaded.length == content.count)
            let first = try await database.put(
                "a", attachments: [EditedAttachment(name: "big", content: .uploaded(uploaded))])
            _ = try await database.put("b", attachments: [EditedAttachment(name: "same", content: .bytes(content))])
            #expect(try await bytes(database, "a", "big") == content)
            #expect(try await bytes(database, "b", "same") == content)
            func files() throws -> [String] {
                try FileManager.default.contentsOfDirectory(atPath: temporary.folder + "/attachments/db")
            }
            #expect(try files().count == 1)
            let attachment = try #require(try await database.read("a")?.attachments.first)
            let open = try await database.content(of: attachment)
            #expect(try await open.read(at: 999_999, count: 10) == Array(content[999_999...]))
            try await database.delete("a", first)
            try await database.compact()
            #expect(try files().count == 1)
            try await database.delete("b", try #require(try await database.read("b")).revision)
            try await database.compact()
            #expect(try files().isEmpty)
            #expect(try await open.read(at: 0, count: 2) == Array(content[..<2]))
            #expect(try await database.info().externalSize < 100)
        }
    }

    @Test("an upload that nobody takes leaves nothing behind", .timeLimit(.minutes(1)))
    func abandoned() async throws {
        try await TemporaryStore.withDatabase { database, temporary in
            do {
                let upload = database.beginUpload()
                try await upload.append([UInt8](repeating: 7, count: 600_000))
                _ = try await upload.finish()
            }
            // The thread that wrote the file may be the last to let go of it.
            let folder = temporary.folder + "/attachments/db"
            while try !FileManager.default.contentsOfDirectory(atPath: folder).isEmpty { await Task.yield() }
        }
    }

    @Test("compressed ones tell both lengths")
    func encoded() async throws {
        try await TemporaryStore.withDatabase { database, _ in
            _ = try await database.put(
                "a",
                attachments: [
                    EditedAttachment(
                        name: "x", contentType: "text/plain", content: .bytes([1, 2, 3]),
                        encoding: .init(name: "gzip", decodedLength: 50))
                ])
            let attachment = try #require(try await database.read("a")?.attachments.first)
            #expect(attachment.length == 50)
            #expect(attachment.stub(withEncoding: true)["encoded_length"] == 3)
            #expect(attachment.stub(withEncoding: true)["encoding"] == "gzip")
        }
    }
}
