import CouchDB
import Foundation
import TestSupport
import Testing
import TokenPool

@Suite("Files on web servers", .enabled(if: WebDAVServer.isPossible, "python3 is not installed"))
struct WebFileTests {
    /// A file of that size, and where to put it: two servers, of which the first may send to the second.
    private func with(
        bytes: Int = 100, _ body: (_ door: WebDAVServer, _ node: WebDAVServer, _ file: String) async throws -> Void
    ) async throws {
        let (door, node) = (try WebDAVServer(), try WebDAVServer())
        let file = door.folder + ".file"
        try Data((0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 7) }).write(to: URL(fileURLWithPath: file))
        try await body(door, node, file)
        try FileManager.default.removeItem(atPath: file)
    }

    private func port(_ server: WebDAVServer) -> String { String(server.url.split(separator: ":").last ?? "") }

    private func read(_ url: String) async throws -> Data {
        var data = Data()
        try await WebFile(url: url).get { data.append(contentsOf: $0) }
        return data
    }

    @Test(
        "a door sends writer and reader to the node that has the file, by the node's token and without their password",
        arguments: [0, 100, 3_000_000])
    func door(bytes: Int) async throws {
        try await with(bytes: bytes) { door, node, file in
            let url = door.url.replacing("http://", with: "http://me:se%20cret@") + "/to/\(port(node))/a%20b.txt"
            try await WebFile(url: url).put(file: file, contentType: "text/plain")
            let written = try Data(contentsOf: URL(fileURLWithPath: node.folder + "/a b.txt"))
            #expect(try written == Data(contentsOf: URL(fileURLWithPath: file)))
            #expect(try await read(url) == written)
            let asked = "/a%20b.txt?uuid=a+b/%3D -"
            #expect(try node.requests == ["PUT " + asked, "GET " + asked])
            let seen = try door.requests
            #expect(seen.count == 2 && seen.allSatisfy { $0.hasSuffix("Basic bWU6c2UgY3JldA==") })
        }
    }

    @Test("who is sent to another place on the same server shows the password there, too")
    func sameServer() async throws {
        try await with { door, _, file in
            let url = door.url.replacing("http://", with: "http://me:pw@") + "/to/here/file"
            try await WebFile(url: url).put(file: file, contentType: "text/plain")
            #expect(try door.requests == ["PUT /to/here/file Basic bWU6cHc=", "PUT /file Basic bWU6cHc="])
        }
    }

    @Test("folders are made where the door's node has none")
    func folders() async throws {
        try await with { door, _, file in
            try await WebFile(url: door.url + "/x/y/file").put(file: file, contentType: "text/plain")
            #expect(FileManager.default.fileExists(atPath: door.folder + "/x/y/file"))
        }
    }

    @Test("who is sent round and round gives up after ten times, and other schemes are not followed")
    func bounds() async throws {
        try await with { door, _, file async throws in
            let round = await #expect(throws: CouchDBError.self) {
                try await WebFile(url: door.url + "/round/x").put(file: file, contentType: "text/plain")
            }
            #expect(round?.reason == "redirected more than 10 times")
            #expect(try door.requests.count == 11)
            let other = await #expect(throws: CouchDBError.self) {
                try await WebFile(url: door.url + "/to/ftp/x").put(file: file, contentType: "text/plain")
            }
            #expect(other?.status == 307 && other?.location == nil)
        }
    }

    @Test("neither name, password nor token of a URL is shown")
    func shown() {
        #expect(WebFile(url: "https://me:p@w@host:1/a@b/c?token=x").shown == "https://host:1/a@b/c")
        #expect(WebFile(url: "https://host/a@b").shown == "https://host/a@b")
    }
}
