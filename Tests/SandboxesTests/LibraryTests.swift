import CouchDB
import CouchDocument
import Foundation
import Sandboxes
import TestSupport
import Testing

@Suite("Sandboxes in a database")
struct LibraryTests {
    let folder = try! TemporaryFolder()

    private func makeArchive(_ text: String = "hello") async throws -> BuiltSandbox {
        try folder.write("src/file", text)
        return try await SandboxBuilder.build(folder: folder("src"), to: folder("a.tar.gz"))
    }

    @Test("what was uploaded is listed, and a worker unpacks it from what the token says")
    func roundTrip() async throws {
        try await withDatabase { database in
            let built = try await makeArchive()
            let library = SandboxLibrary(database)
            let (sandbox, isNew) = try await library.upload(built, name: "größe %+&#", created: 1_700_000_000)
            #expect(isNew)
            #expect(sandbox.id == "sandbox_\(built.digest.hex)")
            #expect(try await library.list() == [sandbox])
            #expect(try await library.find("größe %+&#") == [sandbox])
            #expect(try await library.find(String(built.digest.hex.prefix(8))) == [sandbox])

            // As it travels in a token.
            let spec = try SandboxSpec(json: try JSON(parsing: sandbox.spec.json.description))
            let cache = try SandboxCache(folder: folder("cache"))
            let prepared = try await cache.prepare(spec, database: database)
            try await cache.unpack(prepared, into: folder.folder("out"))
            #expect(folder.text("out/file") == "hello")
        }
    }

    @Test("the same files are sent once, also by many at the same time")
    func idempotent() async throws {
        try await withDatabase { database in
            let built = try await makeArchive(String(repeating: "content ", count: 10_000))
            let sent = try await withThrowingTaskGroup(of: Bool.self) { group in
                for index in 0..<8 {
                    group.addTask {
                        try await SandboxLibrary(database).upload(built, name: "n\(index)", created: index).isNew
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(sent == 1)
            let sandboxes = try await SandboxLibrary(database).list()
            #expect(sandboxes.count == 1)
            #expect(sandboxes.first?.isComplete == true)
        }
    }

    @Test("an upload that broke off is completed by the next")
    func brokenOff() async throws {
        try await withDatabase { database in
            let built = try await makeArchive()
            let id = "sandbox_\(built.digest.hex)"
            try await database.save(
                Document(id: id, fields: ["type": "sandbox", "name": "half", "digest": .string(built.digest.hex)]))
            let library = SandboxLibrary(database)
            #expect(try await library.list().map(\.isComplete) == [false])
            let (sandbox, isNew) = try await library.upload(built, name: "whole", created: 1)
            #expect(isNew && sandbox.isComplete && sandbox.name == "half")
        }
    }

    @Test("an attachment of the token itself serves as its sandbox, and a changed one is fetched again")
    func ownAttachment() async throws {
        try await withDatabase { database in
            let id = "token ü/%+"
            let cache = try SandboxCache(folder: folder("cache"))
            let spec = try SandboxSpec(json: ["attachment": "box +%.tar.gz"])
            var revision: Revision?
            var digests: [SandboxDigest] = []
            for text in ["one", "two"] {
                let built = try await makeArchive(text)
                revision = try await database.putAttachment(
                    "box +%.tar.gz", to: id, revision: revision, contentType: "application/gzip",
                    body: .file(path: built.path))
                for _ in 0..<2 { digests.append(try await cache.prepare(spec, database: database, token: id).digest) }
                #expect(digests.last == built.digest)
            }
            #expect(digests[0] == digests[1] && digests[2] == digests[3] && digests[0] != digests[2])
        }
    }

    @Test("an attachment that is not there is said with what to do")
    func missing() async throws {
        try await withDatabase { database in
            let cache = try SandboxCache(folder: folder("cache"))
            let digest = String(repeating: "0", count: 64)
            for json in [
                #"{"attachment":"a","document":"nope"}"#,
                #"{"attachment":"a","document":"nope","sha256":"\#(digest)"}"#,
            ] {
                let error = await #expect(throws: SandboxError.self) {
                    try await cache.prepare(try SandboxSpec(json: try JSON(parsing: json)), database: database)
                }
                #expect(error?.code == .missing)
                #expect(error?.reason.contains("tokenpool sandbox upload") == true)
            }
        }
    }

    @Test("an archive behind http is fetched, and again only when its ETag changed")
    func http() async throws {
        try await withDatabase { database in
            let server = try await TestServer.shared()
            let built = try await makeArchive("over http")
            try await database.putAttachment(
                "a.tar.gz", to: "web", revision: nil, contentType: "application/gzip", body: .file(path: built.path))
            let url = "\(server.url)/\(database.name)/web/a.tar.gz"
            let cache = try SandboxCache(folder: folder("cache"))
            let spec = try SandboxSpec(json: ["url": .string(url)])
            for _ in 0..<2 { #expect(try await cache.prepare(spec).digest == built.digest) }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder("cache/index")).count == 1)

            let error = await #expect(throws: SandboxError.self) {
                try await cache.prepare(try SandboxSpec(json: ["url": .string(url + ".nope")]))
            }
            #expect(error?.code == .missing)
            #expect(error?.reason.contains("secret") == false)
        }
    }
}
