import CouchDocument
import GridData
import TestSupport
import Testing
import TokenPool

@Suite("Tape interfaces")
struct TapeInterfaceTests {
    private static let life = Duration.seconds(3600)

    private func access(_ url: String, _ folder: ScratchFolder) throws -> WebAccess {
        var access = WebAccess(url: url)
        access.tokenFile = try folder.write("token", "secret\n")
        return access
    }

    @Test("WLCG: the interface is found, files are asked for, polled, let go one by one and altogether")
    func wlcg() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        for address in ["", "/.well-known/wlcg-tape-rest-api"] {
            let storage = TapeStandIn(token: "secret")
            let tape = try WLCGTape(try access(storage.url + address, folder))
            let paths = ["/a b&%é", "/b", "/c"]
            let id = try await tape.stage(paths, for: Self.life)
            #expect(storage.pins == ["/a b&%é": 1, "/b": 1, "/c": 1])
            #expect(try await tape.progress(of: id, paths) == [:])
            storage.bring("/a b&%é")
            storage.spoil("/b", "no tape\nin drive")
            #expect(try await tape.progress(of: id, paths) == ["/a b&%é": .online, "/b": .failed("no tape")])
            try await tape.release(["/b"], of: id)
            #expect(storage.pins == ["/a b&%é": 1, "/c": 1])
            try await tape.end(id, ["/a b&%é", "/c"])
            #expect(storage.pins == [:] && storage.requests == [:])
            let error = await #expect(throws: GridError.self) { try await tape.progress(of: id, paths) }
            #expect(error?.code == .notFound)
            let stage = try #require(storage.calls("/api/v1/stage").first)
            #expect((stage.json["files"] as? [[String: String]])?.first?["diskLifetime"] == "PT3600S")
        }
    }

    @Test("dCache: pins are requests of bulk, what was on disk before is told by the namespace")
    func dCache() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let storage = TapeStandIn(token: "secret")
        for prefix in ["", "/pnfs/x"] {
            let tape = try DCacheTape(
                pins: try access(storage.url + "/pins", folder),
                namespace: try access(storage.url + "/namespace", folder), prefix: prefix)
            let paths = ["/a b&%é", "/early", "/gone", "/d", "/e"]
            let id = try await tape.stage(paths, for: Self.life)
            #expect(storage.pins.count == 5)
            storage.bring(prefix + "/a b&%é")
            storage.bring(prefix + "/early")
            storage.spoil(prefix + "/d", "broken")
            #expect(
                try await tape.progress(of: id, paths) == [
                    "/a b&%é": .online, "/early": .online, "/gone": .failed("the storage has no such file"),
                    "/d": .failed("broken"),
                ])
            try await tape.release(["/early", "/d"], of: id)
            #expect(Set(storage.pins.keys) == [prefix + "/a b&%é", prefix + "/gone", prefix + "/e"])
            try await tape.end(id, ["/a b&%é", "/gone", "/e"])
            #expect(storage.pins == [:] && storage.requests == [:])
        }
    }

    @Test("who is not known there is told so; so is what makes no sense")
    func faults() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let storage = TapeStandIn(token: "other")
        let tape = try WLCGTape(try access(storage.url, folder))
        let error = await #expect(throws: GridError.self) { try await tape.stage(["/a"], for: Self.life) }
        #expect(error?.code == .unauthorized)
        #expect(error?.description.contains("no valid token") == true && error?.description.contains("secret") == false)
        let open = TapeStandIn()
        let other = try WLCGTape(WebAccess(url: open.url))
        for body in ["", "{}", "[]", "no JSON", "{\"endpoints\":[{}]}"] {
            open.fail("/.well-known", with: .status(200, body))
            let error = await #expect(throws: GridError.self) { try await other.stage(["/a"], for: Self.life) }
            #expect(error?.code == .badAnswer)
        }
        open.fail("/api", with: .status(201, "{}"))
        await #expect(throws: GridError.self) { try await other.stage(["/a"], for: Self.life) }
    }

    @Test(
        "the path at the storage is that of the URL, squeezed, with prefixes taken off and put on",
        arguments: [
            ("root://h:1//pnfs//x/a", "", "", "/pnfs/x/a"), ("root://h//pnfs/x/a", "/pnfs/x", "/y", "/y/a"),
            ("https://h/a?q", "/b", "", "/a"), ("a", "", "", nil),
        ])
    func paths(url: String, remove: String, add: String, path: String?) throws {
        var rse = RSE(name: "T")
        try rse.set(["remove_prefix": .string(remove), "add_prefix": .string(add)])
        #expect(rse.tapePath(of: Replica(rse: "T", url: url)) == path)
        #expect(rse.tapePath(of: Replica(rse: "T", path: "/given//as is", url: url)) == "/given//as is")
    }
}
