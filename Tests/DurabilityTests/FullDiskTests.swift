import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("A disk that is full")
struct FullDiskTests {
    private static let text = JSON.string(String(repeating: "0123456789", count: 800))

    @Test(
        "refuses writes with 507 and its reason, loses nothing, reads on, and takes writes again once there is room",
        .enabled(if: SmallDisk.canMount, "needs the right to mount"))
    func smallFileSystem() async throws {
        try await SmallDisk.with(megabytes: 12) { folder in
            let server = try await TestServer.start(arguments: ["--data", folder + "/data"])
            try await fill(server, data: folder + "/data") { try SmallDisk.resize(folder, megabytes: 200) }
        }
    }

    @Test("does the same when files may not grow any more: a limit or a quota")
    func limitedFiles() async throws {
        let server = try await TestServer.start()
        let process = try #require(server.processID)
        // The write-ahead log comes to this before it is moved into the file for the first time.
        try SmallDisk.limitFiles(of: process, bytes: 6 << 20)
        try await fill(server, data: server.folder + "/data") {
            try SmallDisk.limitFiles(of: process, bytes: nil)
        }
    }

    private func fill(_ server: TestServer, data: String, makeRoom: () throws -> Void) async throws {
        var configuration = try ServerConfiguration(url: server.url)
        configuration.retry = .never
        let client = try Server(configuration)
        let database = try await client.createDatabase("full")
        var kept: [String: Revision] = [:]
        var refused: CouchDBError?
        // Eight at a time, so that refusals meet commits that are shared.
        while refused == nil {
            let start = kept.count
            await withTaskGroup(of: (String, Result<Revision, any Error>).self) { group in
                for number in start..<start + 8 {
                    group.addTask {
                        let document = Document(id: "doc \(number)", fields: ["text": Self.text])
                        do { return (document.id, .success(try await database.save(document))) } catch {
                            return (document.id, .failure(error))
                        }
                    }
                }
                for await (id, result) in group {
                    switch result {
                    case .success(let revision): kept[id] = revision
                    case .failure(let error): refused = error as? CouchDBError
                    }
                }
            }
            try #require(kept.count < 20_000, "the disk never was full")
        }
        let error = try #require(refused)
        #expect(error.status == 507)
        #expect(error.error == "insufficient_storage")
        #expect(!error.reason.isEmpty)
        try #require(!kept.isEmpty)
        #expect(try await found(in: database) == kept)
        let large = Document(
            id: "large",
            fields: [
                "_attachments": [
                    "a": ["data": .string(Data(count: 7 << 20).base64EncodedString()), "content_type": "a/b"]
                ]
            ])
        await #expect { try await database.save(large) } throws: { ($0 as? CouchDBError)?.status == 507 }
        // Another refusal, then the plug.
        await #expect(throws: CouchDBError.self) {
            for number in 0..<20_000 {
                kept["more \(number)"] = try await database.save(
                    Document(id: "more \(number)", fields: ["text": Self.text]))
            }
        }
        try makeRoom()
        kept["room"] = try await database.save(Document(id: "room", fields: ["text": Self.text]))
        kept["large"] = try await database.save(large)
        #expect(try await found(in: database) == kept)
        try await server.kill()
        try await server.restart()
        #expect(try await found(in: database) == kept)
        let check = try await server.runAnother(["check", data])
        #expect(check.status == 0, "\(check.text)")
        #expect(try await server.stop() == 0)
        await client.shutdown()
    }

    private func found(in database: Database) async throws -> [String: Revision] {
        var found: [String: Revision] = [:]
        for try await row in database.allDocumentRows() {
            found[try #require(row.id)] = row.value["rev"]?.stringValue.flatMap { Revision($0) }
        }
        return found
    }
}
