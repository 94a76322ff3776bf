import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

@Suite("A folder that is not as it should be")
struct FolderTests {
    @Test(
        "is refused in one line when it can not be written to", .enabled(if: SmallDisk.canMount || getuid() != 0))
    func readOnly() async throws {
        if SmallDisk.canMount {
            try await SmallDisk.with(megabytes: 12) { folder in
                try await refuses(folder) { try SmallDisk.makeReadOnly(folder, $0) }
            }
            return
        }
        let folder = NSTemporaryDirectory() + "read-only-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await refuses(folder) { try SmallDisk.run("chmod", "-R", $0 ? "a-w" : "u+w", folder) }
        try FileManager.default.removeItem(atPath: folder)
    }

    private func refuses(_ folder: String, makeReadOnly: (Bool) throws -> Void) async throws {
        let server = try await TestServer.start(arguments: ["--data", folder + "/data"])
        #expect(try await server.stop() == 0)
        try makeReadOnly(true)
        let refused = try await server.runAnother(["--data", folder + "/data", "--port", "0"])
        try makeReadOnly(false)
        #expect(refused.status == 3)
        #expect(refused.text.split(separator: "\n").count == 1)
        #expect(refused.text.contains(folder))
        #expect(refused.text.contains("writable"))
        try await server.restart()
        #expect(try await server.stop() == 0)
    }

    @Test("with a damaged file serves the other databases, says which is damaged and how, and so does the check")
    func damaged() async throws {
        let server = try await TestServer.start()
        let client = try server.client()
        for name in ["good", "bad"] { try await client.createDatabase(name).save(Document(id: "a", fields: [:])) }
        #expect(try await server.stop() == 0)
        let sound = try await server.runAnother(["check", server.folder + "/data"])
        #expect(sound.status == 0)
        let path = server.folder + "/data/databases/bad.db"
        let handle = try #require(FileHandle(forUpdatingAtPath: path))
        try handle.write(contentsOf: Data(repeating: 0x5A, count: 200))
        try handle.close()
        let damaged = try await server.runAnother(["check", server.folder + "/data"])
        #expect(damaged.status == 1)
        #expect(damaged.text.split(separator: "\n").count == 1)
        #expect(damaged.text.hasPrefix("tokenpoold: bad: "))
        try await server.restart()
        #expect(try await client.database("good").document("a").id == "a")
        await #expect { try await client.database("bad").document("a") } throws: {
            guard let error = $0 as? CouchDBError else { return false }
            return error.status == 500 && error.reason.contains("bad.db") && error.reason.contains("damaged")
        }
        #expect(try await server.stop() == 0)
        await client.shutdown()
    }

    @Test("is copied while it is served, and the copy is served like the original")
    func backup() async throws {
        let server = try await TestServer.start()
        let client = try server.client()
        let database = try await client.createDatabase("a/b")
        let revision = try await database.save(Document(id: "ü", fields: ["n": 1]))
        let copy = server.folder + "/copy"
        let done = try await server.runAnother(["backup", copy, "--data", server.folder + "/data"])
        #expect(done.status == 0, "\(done.text)")
        #expect(try await server.runAnother(["check", copy]).status == 0)
        let again = try await server.runAnother(["backup", copy, "--data", server.folder + "/data"])
        #expect(again.status == 3)
        #expect(again.text.contains(copy))
        let other = try await TestServer.start(arguments: ["--data", copy])
        let reader = try other.client()
        #expect(try await reader.database("a/b").document("ü").revision == revision)
        #expect(try await other.stop() == 0)
        #expect(try await server.stop() == 0)
        await client.shutdown()
        await reader.shutdown()
    }
}
