import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import TestSupport
import Testing
import TokenPool

/// Two servers, each with a copy of one pool, that tell each other of their writes only when the test says so: what
/// happens on a cluster whose nodes lost sight of each other.
struct TwoNodes {
    let east: Pool
    let west: Pool
    let clock: ManualClock
    private let servers: (east: TestServer, west: TestServer)

    static func with(_ body: (TwoNodes) async throws -> Void) async throws {
        let servers = (east: try await TestServer.start(), west: try await TestServer.start())
        let clock = ManualClock()
        var pools: [Pool] = []
        for server in [servers.east, servers.west] {
            let database = try await server.client().createDatabase("pool")
            for design in DesignDocuments.all { try await database.push(design) }
            pools.append(Pool(database: database, clock: clock))
        }
        try await body(TwoNodes(east: pools[0], west: pools[1], clock: clock, servers: servers))
        for pool in pools { await pool.database.server.shutdown() }
    }

    private init(east: Pool, west: Pool, clock: ManualClock, servers: (east: TestServer, west: TestServer)) {
        (self.east, self.west, self.clock, self.servers) = (east, west, clock, servers)
    }

    /// Both learn of everything that the other one has.
    func meet() async throws {
        for (server, other) in [(servers.east, servers.west), (servers.west, servers.east)] {
            let answer = try await server.client().request(
                "POST", "/_replicate",
                body: .json(["source": .string(other.url + "/pool"), "target": .string(server.url + "/pool")]))
            #expect(try answer.json()["ok"] == true)
        }
    }

    /// The token on both nodes, which must agree and have one version.
    func agreed(_ id: String) async throws -> Token {
        let seen = try await [east, west].asyncMap { pool in
            try await pool.database.document(id, options: .conflicts)
        }
        #expect(seen[0].revision == seen[1].revision)
        #expect(seen.allSatisfy { $0.conflicts.isEmpty })
        return Token(seen[0])
    }
}

extension Array {
    fileprivate func asyncMap<Value>(_ body: (Element) async throws -> Value) async throws -> [Value] {
        var values: [Value] = []
        for element in self { values.append(try await body(element)) }
        return values
    }
}

@Suite("Two nodes that lost sight of each other", .timeLimit(.minutes(2)))
struct TwoNodesTests {
    private func result(_ nodes: TwoNodes, _ text: String) -> TokenResult {
        var result = TokenResult(exitCode: 0, started: nodes.clock.now(), ended: nodes.clock.now())
        result.output = .string(text)
        result.attachments = [.init(name: "logs_a.out", contentType: "text/plain", bytes: Array("log of \(text)".utf8))]
        return result
    }

    /// The same token claimed on both: on the east first.
    private func claimTwice(_ nodes: TwoNodes) async throws -> (east: ClaimedToken, west: ClaimedToken) {
        try await nodes.east.add(["a"])
        try await nodes.meet()
        let east = try #require(try await nodes.east.claim(1, as: worker("east")).first)
        nodes.clock.advance(.seconds(1))
        let west = try #require(try await nodes.west.claim(1, as: worker("west")).first)
        try await nodes.meet()
        return (east, west)
    }

    private func kept(_ claim: ClaimedToken, in pool: Pool) async throws -> JSON {
        let name = "attempt-\(claim.lease.id).json"
        return try JSON(parsing: try await pool.database.attachment(name, of: "a").bytes(upTo: 1 << 20))
    }

    @Test("of two that hold one token the older lease stays; the other is told and its result kept")
    func held() async throws {
        try await TwoNodes.with { nodes in
            let (east, west) = try await claimTwice(nodes)
            for pool in [nodes.east, nodes.west] {
                #expect(try await pool.repairConflicts().repaired == [], "they may sort it out themselves")
            }
            nodes.clock.advance(.seconds(20))
            // Both janitors at once, each on its node: they choose the same.
            for pool in [nodes.east, nodes.west] { #expect(try await pool.repairConflicts().repaired == ["a"]) }
            try await nodes.meet()
            #expect(try await nodes.agreed("a").lease?.id == east.lease.id)

            guard case .lost = try await nodes.west.renew([west])[0] else { throw TestFailure("west still holds it") }
            guard case .superseded = try await nodes.west.finish(west, result(nodes, "west")) else {
                throw TestFailure("both hold it")
            }
            #expect(try await nodes.west.keep(result(nodes, "west"), of: west))
            try await nodes.meet()
            guard case .saved(let token) = try await nodes.east.finish(east, result(nodes, "east")) else {
                throw TestFailure("nobody holds it")
            }
            #expect(token.state == .done)
            try await nodes.meet()
            let last = try await nodes.agreed("a")
            #expect(last.state == .done && last.output == "east")
            #expect(last.pool.history.map(\.lease) == [east.lease.id])
            #expect(try await kept(west, in: nodes.east)["output"] == "west")
        }
    }

    @Test("of two that finished it before they met the first stays; the other's result is kept with its log")
    func finished() async throws {
        try await TwoNodes.with { nodes in
            let (east, west) = try await claimTwice(nodes)
            guard case .saved = try await nodes.west.finish(west, result(nodes, "west")) else {
                throw TestFailure("west could not finish")
            }
            nodes.clock.advance(.seconds(5))
            guard case .saved = try await nodes.east.finish(east, result(nodes, "east")) else {
                throw TestFailure("east could not finish")
            }
            try await nodes.meet()
            nodes.clock.advance(.seconds(20))
            #expect(try await nodes.east.repairConflicts().repaired == ["a"])
            try await nodes.meet()
            let last = try await nodes.agreed("a")
            #expect(last.state == .done && last.output == "west")
            #expect(last.pool.history.map(\.lease) == [west.lease.id, east.lease.id])
            let record = try await kept(east, in: nodes.west)
            #expect(record["output"] == "east")
            #expect(record["text:logs_a.out"] == "log of east")
            #expect(record["outcome"] == "done")
            #expect(try await nodes.west.repairConflicts().isEmpty)
        }
    }

    @Test("one that finished stays though the other's lease is older; that one is told and its result kept")
    func finishedAndHeld() async throws {
        try await TwoNodes.with { nodes in
            let (east, west) = try await claimTwice(nodes)
            guard case .saved = try await nodes.west.finish(west, result(nodes, "west")) else {
                throw TestFailure("west could not finish")
            }
            try await nodes.meet()
            nodes.clock.advance(.seconds(20))
            #expect(try await nodes.west.repairConflicts().repaired == ["a"])
            try await nodes.meet()
            guard case .superseded(let token) = try await nodes.east.finish(east, result(nodes, "east")) else {
                throw TestFailure("it is finished twice")
            }
            #expect(token?.state == .done)
            #expect(try await nodes.east.keep(result(nodes, "east"), of: east))
            try await nodes.meet()
            #expect(try await nodes.agreed("a").output == "west")
            #expect(try await kept(east, in: nodes.west)["output"] == "east")
        }
    }

    @Test("a token says so, and then no result of another version is kept")
    func dropped() async throws {
        try await TwoNodes.with { nodes in
            try await nodes.east.add(["a"]) { $0.pool.dropsSuperseded = true }
            try await nodes.meet()
            var claims: [ClaimedToken] = []
            for (name, pool) in [("east", nodes.east), ("west", nodes.west)] {
                let claim = try #require(try await pool.claim(1, as: worker(name)).first)
                guard case .saved = try await pool.finish(claim, result(nodes, name)) else {
                    throw TestFailure("\(name) could not finish")
                }
                claims.append(claim)
                nodes.clock.advance(.seconds(1))
            }
            try await nodes.meet()
            nodes.clock.advance(.seconds(20))
            #expect(try await nodes.east.repairConflicts().repaired == ["a"])
            try await nodes.meet()
            let last = try await nodes.agreed("a")
            #expect(last.output == "east")
            #expect(last.document.attachments.names.filter { $0.hasPrefix("attempt-") } == [])
            #expect(last.pool.history.map(\.lease) == claims.map(\.lease.id))
        }
    }
}

/// What a claim does that is read back, as on a cluster, and finds other versions of its token.
@Suite("Claiming what has several versions")
struct SeveralVersionsTests {
    /// A token of which there is another version beside the one that is todo.
    private func withVersions(
        _ change: @escaping (inout Token, ManualClock) -> Void,
        _ body: (Pool, ManualClock) async throws -> Void
    ) async throws {
        try await withPool { pool, clock in
            let pool = Pool(database: pool.database, clock: clock, confirmsClaims: true)
            // The version that CouchDB shows is the one with the greater hash: the one that is todo.
            var other = Token(id: "a")
            other.revision = Revision("2-" + String(repeating: "1", count: 32))
            change(&other, clock)
            var free = Token(id: "a")
            free.revision = Revision("2-" + String(repeating: "f", count: 32))
            _ = try await pool.database.bulkSave([free.document, other.document], newEdits: false)
            try await body(pool, clock)
        }
    }

    private func hold(_ token: inout Token, since: Int, _ clock: ManualClock) {
        token.lock = since
        token.hostname = "rival"
        token.pool.lease = Lease(id: "rival", worker: "rival", since: since, until: clock.now() + .seconds(300))
    }

    @Test("one that is free or waits goes, and the claim counts")
    func idle() async throws {
        try await withVersions({ token, _ in token["note"] = "an old version" }) { pool, _ async throws in
            let claim = try #require(try await pool.claim(1, as: worker("w")).first)
            let current = try await pool.database.document("a", options: .conflicts)
            #expect(current.conflicts.isEmpty)
            #expect(Token(current).lease?.id == claim.lease.id)
        }
    }

    @Test("one that is done or held for longer stays, and the claim does not count")
    func better() async throws {
        try await withVersions({ token, clock in hold(&token, since: clock.now().seconds - 100, clock) }) {
            pool, _ async throws in
            #expect(try await pool.claim(1, as: worker("w")).isEmpty)
            let current = try await pool.database.document("a", options: .conflicts)
            #expect(current.conflicts.isEmpty)
            #expect(Token(current).lease?.id == "rival")
        }
        try await withVersions({ token, _ in
            (token.lock, token.done, token.exitCode) = (100, 200, 0)
        }) { pool, _ async throws in
            #expect(try await pool.claim(1, as: worker("w")).isEmpty)
            #expect(try await pool.token("a").state == .done)
        }
    }

    @Test("where two have just claimed, the younger one deletes its version and the older one is free again")
    func fresh() async throws {
        try await withVersions({ token, clock in hold(&token, since: clock.now().seconds - 1, clock) }) {
            pool, _ async throws in
            #expect(try await pool.claim(1, as: worker("w")).isEmpty)
            #expect(try await pool.token("a").lease?.id == "rival")
        }
    }
}
