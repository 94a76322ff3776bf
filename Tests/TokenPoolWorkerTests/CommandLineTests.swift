import CouchDocument
import Testing

@testable import TokenPool
@testable import TokenPoolWorker

@Suite("The command of a token")
struct CommandLineTests {
    private func values(_ token: Token) -> CommandValues {
        let lease = Lease(id: "l1", worker: "w", since: 1000, until: Timestamp(seconds: 1300))
        let worker = WorkerIdentity(name: "w", hostname: "node7")
        var token = token
        token.claim(lease: lease, by: worker)
        return CommandValues(
            claim: ClaimedToken(token: token, lease: lease, worker: worker), database: "pool", folder: "/w/a", slot: 3)
    }

    private func arguments(_ token: Token, own: [String] = [], hasMaster: Bool = false) throws -> [String] {
        let values = values(token)
        return try CommandLine(for: values.token, own: own, values: values, hasMaster: hasMaster).arguments
    }

    @Test("PiCaS' input is a line for the shell, as it stands")
    func picas() throws {
        var token = Token(id: "a")
        token.input = "echo '{id}' ${HOME}"
        #expect(try arguments(token) == ["/bin/sh", "-c", "echo '{id}' ${HOME}"])
    }

    @Test("values go into a shell line as text, whatever is in them")
    func quoting() throws {
        var token = Token(id: "it's; rm -rf /\n$(x)")
        token.pool.command = "run {id} \"{id}\" '{id}'"
        #expect(
            try arguments(token) == [
                "/bin/sh", "-c",
                "run 'it'\\''s; rm -rf /\n$(x)' \"it's; rm -rf /\n\\$(x)\" 'it'\\''s; rm -rf /\n$(x)'",
            ])
    }

    @Test("a list of arguments needs no shell")
    func list() throws {
        var token = Token(id: "a b")
        token.input = ["n": 7]
        token["OBSID"] = "L1"
        token.pool.command = ["prog", "{id}", "--n={input.n}", "{OBSID}", "{attempt}", "{slot}", "{attachment:x y}"]
        #expect(try arguments(token) == ["prog", "a b", "--n=7", "L1", "1", "3", "x y"])
    }

    @Test("the pilot's own command serves tokens that have none, before their input")
    func own() throws {
        var token = Token(id: "a")
        token.input = "-q 1 -d 2"
        #expect(
            try arguments(token, own: ["./process_task.sh", "{input}", "{id}"]) == [
                "./process_task.sh", "-q 1 -d 2", "a",
            ])
    }

    @Test("GRID_LRT's sandbox brings master.sh")
    func master() throws {
        var token = Token(id: "a", type: "demo")
        token.input = .null
        #expect(try arguments(token, hasMaster: true) == ["./master.sh"])
    }

    @Test("a name that nothing has, or nothing to run, is a clear failure")
    func failures() {
        var token = Token(id: "a")
        #expect(throws: RunFailure.self) { try arguments(token) }
        token.pool.command = "run {nonsense}"
        #expect { try arguments(token) } throws: { "\($0)".contains("nonsense") }
    }

    @Test("the environment tells the command its token and fills in what the token brings")
    func environment() throws {
        var token = Token(id: "a")
        token.pool.set = "s"
        token["OBSID"] = "L1"
        token.pool.environment = ["OBS": "{OBSID}", "HOST": "{host}", "HOME": "/tmp"]
        token["config.json"] = [
            "variables": [
                "_token_keys": ["$FIELD": "OBSID", "$NONE": "missing"], "_attachments": ["$PARSET": "a/b.parset"],
            ]
        ]
        let entries = try RunEnvironment(inherited: ["HOME": "/root", "LANG": "C"]).entries(for: values(token))
        #expect(
            Set(entries).isSuperset(of: [
                "TOKENPOOL_TOKEN_ID=a", "TOKENPOOL_SET=s", "TOKENPOOL_WORK_DIR=/w/a", "TOKENPOOL_ATTEMPT=1", "OBS=L1",
                "HOST=node7", "HOME=/tmp", "LANG=C", "FIELD=L1", "PARSET=a_b.parset", "TOKEN=a",
            ]))
        #expect(!entries.contains { $0.hasPrefix("NONE=") })
        #expect(entries.count { $0.hasPrefix("HOME=") } == 1)
    }

    @Test("odd ids make harmless folder names")
    func folders() {
        #expect(WorkFolder.safeName("a b/../c%+é\n") == "a_b_.._c____")
        #expect(WorkFolder.safeName("..") == "_.")
        #expect(WorkFolder.fileName(ofAttachment: "../../etc/passwd") == "__/__/etc/passwd")
    }
}
