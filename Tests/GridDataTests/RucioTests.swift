import CouchDocument
import GridData
import TestSupport
import Testing
import TokenPool

@Suite("Rucio")
struct RucioTests {
    /// Runs a test with a Rucio and a source that signs in with a password.
    private func with(_ body: (RucioStandIn, Rucio) async throws -> Void) async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let rucio = RucioStandIn()
        var settings = Rucio.Settings(
            access: WebAccess(url: rucio.url),
            signIn: .password(user: "ddisp", file: try folder.write("password", "pw\n")))
        settings.account = "dune"
        try await body(rucio, try Rucio(settings))
    }

    @Test("replicas are asked for in bulk and read from the stream — POST /replicas/list")
    func replicas() async throws {
        try await with { rucio, source in
            rucio.set("ns:a & b%é", ["D1": ["root://x:1094/p/a", "https://x/p/a"], "D2": ["davs://y/p"]])
            rucio.set("ns:none", [:])
            let names = ["a & b%é", "none", "unknown"].map(did)
            let found = try await source.replicas(of: names, schemes: [])
            #expect(Set(found[names[0]]?.map(\.rse) ?? []) == ["D1", "D2"])
            let first = try #require(found[names[0]]?.first { $0.rse == "D1" })
            #expect(first.urls == ["root://x:1094//p/a", "https://x/p/a"] && first.source == "rucio")
            #expect(found[names[1]] == [] && found[names[2]] == [])
            let call = try #require(rucio.calls("/replicas/list").first)
            #expect(call.json["all_states"] as? Bool == false && call.json["ignore_availability"] as? Bool == false)
            #expect((call.json["dids"] as? [[String: String]])?.first == ["scope": "ns", "name": "a & b%é"])
            #expect(call.request.header("Accept") == "application/x-json-stream")
            let signIn = try #require(rucio.calls("/auth/userpass").first)
            #expect(signIn.request.header("X-Rucio-Account") == "dune")
        }
    }

    @Test("schemes choose URLs and order them")
    func schemes() async throws {
        try await with { rucio, source in
            rucio.set("ns:a", ["D1": ["root://x//a", "https://x/a", "gsiftp://x/a"], "D2": ["gsiftp://y/a"]])
            let found = try await source.replicas(of: [did("a")], schemes: ["https", "root"])
            #expect(found[did("a")]?.map(\.urls) == [["https://x/a", "root://x//a"]])
        }
    }

    @Test("a token is used again, and replaced before it ends and when it does not count any more")
    func tokens() async throws {
        try await with { rucio, source in
            rucio.add(rse: "D1")
            _ = try await source.rses()
            _ = try await source.rses()
            #expect(rucio.calls("/auth").count == 1)
            rucio.forgetTokens()
            _ = try await source.rses()
            #expect(rucio.calls("/auth").count == 2)
            rucio.setLife(0)
            rucio.forgetTokens()
            _ = try await source.rses()
            _ = try await source.rses()
            #expect(rucio.calls("/auth").count == 4, "each that ends at once is used once")
        }
    }

    @Test("storage elements come with their kind — GET /rses/")
    func rses() async throws {
        try await with { rucio, source in
            rucio.add(rse: "D1")
            rucio.add(rse: "T 1", isTape: true)
            let found = try await source.rses()
            #expect(found == [SourceRSE(name: "D1"), SourceRSE(name: "T 1", isTape: true)])
        }
    }

    @Test("a token is read from its file whenever it is needed")
    func tokenFile() async throws {
        try await with { rucio, password in
            rucio.add(rse: "D1")
            _ = try await password.rses()
            let folder = try ScratchFolder()
            defer { folder.remove() }
            let file = try folder.write("token", "wrong")
            let source = try Rucio(Rucio.Settings(access: WebAccess(url: rucio.url), signIn: .tokenFile(file)))
            let error = await #expect(throws: GridError.self) { try await source.rses() }
            #expect(error?.code == .unauthorized && error?.description.contains("Cannot authenticate") == true)
            try folder.write("token", "token-1\n")
            #expect(try await source.rses().count == 1)
        }
    }

    @Test(
        "an answer that is not whole is none",
        arguments: [
            GridStandIn.Fault.status(500, "Internal Error"), .status(503, "{\"ExceptionMessage\":\"too many\"}"),
            .cut(5),
            .cut(40), .before("no JSON\n"), .before("{\"scope\":\"ns\"}\n"), .after("{\"scope\": \"ns\", \"na"),
            .after("{\"ExceptionClass\":\"X\",\"ExceptionMessage\":\"gone\"}\n"),
        ])
    func faults(fault: GridStandIn.Fault) async throws {
        try await with { rucio, source in
            rucio.set("ns:a", ["D1": ["root://x//a"]])
            rucio.set("ns:b", ["D1": ["root://x//b"]])
            // As often as the client asks again by itself.
            for _ in 0..<4 { rucio.fail("/replicas", with: fault) }
            await #expect(throws: GridError.self) { try await source.replicas(of: [did("a"), did("b")], schemes: []) }
        }
    }

    @Test("rows that nobody asked for are passed over, and two rows of a file are one")
    func strangeRows() async throws {
        try await with { rucio, source in
            rucio.set("ns:a", ["D1": ["root://x//a"]])
            rucio.fail(
                "/replicas",
                with: .before(
                    """
                    {"scope":"ns","name":"other","rses":{"D1":["root://x//o"]}}
                    {"scope":"a:b","name":"x","rses":{}}
                    {"scope":"ns","name":"a","rses":{"D1":["https://x/a"],"D2":[]},"unknown":[1]}

                    """))
            let found = try await source.replicas(of: [did("a")], schemes: [])
            #expect(found.keys.map(\.name) == ["a"])
            #expect(found[did("a")]?.map(\.rse) == ["D1"])
            #expect(found[did("a")]?.first?.urls == ["https://x/a", "root://x//a"])
        }
    }

    @Test("where Rucio refuses a request for one unknown file, the others are found all the same")
    func unknownRefused() async throws {
        try await with { rucio, source in
            let names = (0..<9).map { "f\($0)" }
            for name in names where name != "f3" { rucio.set("ns:" + name, ["D1": ["root://x//" + name]]) }
            rucio.refuseUnknown()
            let found = try await source.replicas(of: names.map(did), schemes: [])
            #expect(found.count == 9)
            #expect(found.filter { $0.value.isEmpty }.keys.map(\.name) == ["f3"])
            rucio.fail("/replicas", with: .status(404, "<html>no such page</html>"))
            await #expect(throws: GridError.self) { try await source.replicas(of: [did("f1")], schemes: []) }
        }
    }
}
