import CouchDocument
import Testing

@testable import TokenPool

@Suite("What happens to a token")
struct TokenChangesTests {
    private let worker = WorkerIdentity(
        name: "w1", hostname: "node7", job: .init(field: "slurm_job_id", value: "4711_3"))

    private func claimed(_ token: Token, at seconds: Int = 1000) -> ClaimedToken {
        let lease = Lease(id: "l1", worker: worker.name, since: seconds, until: Timestamp(seconds: seconds + 300))
        var token = token
        token.claim(lease: lease, by: worker)
        return ClaimedToken(token: token, lease: lease, worker: worker)
    }

    @Test("a new one has PiCaS' base fields in PiCaS' order")
    func fresh() {
        #expect(
            JSON.object(Token(id: "a").document.fields).description == """
                {"_id":"a","type":"token","lock":0,"done":0,"hostname":"","scrub_count":0,"input":{},"exit_code":"",\
                "output":{},"uploads":{},"error":[]}
                """)
    }

    @Test("a claim writes lock, hostname and job id, and keeps every other field")
    func claim() {
        var token = Token(id: "a")
        token["OBSID"] = "L123"
        let claim = claimed(token)
        #expect(claim.token.lock == 1000)
        #expect(claim.token.hostname == "node7")
        #expect(claim.token["slurm_job_id"] == "4711_3")
        #expect(claim.token["OBSID"] == "L123")
        #expect(claim.token.state == .locked)
        #expect(claim.token.lease?.id == "l1")
        #expect(claim.attempt == 1)
    }

    @Test("a good end leaves PiCaS' fields as its own worker would")
    func done() {
        let claim = claimed(Token(id: "a"))
        var token = claim.token
        token.finish(
            TokenResult(exitCode: 0, started: Timestamp(seconds: 1001), ended: Timestamp(seconds: 1009)), of: claim)
        #expect(token.lock == 1000)
        #expect(token.done == 1009)
        #expect(token.exitCode == 0)
        #expect(token.hostname == "node7")
        #expect(token.scrubCount == 0)
        #expect(token.errors.isEmpty)
        #expect(token.state == .done)
        #expect(token.pool.lease == nil)
        #expect(token.pool.history.map(\.outcome) == [.done])
    }

    @Test("a failed try goes back while tries are left, then it is an error")
    func retries() {
        var token = Token(id: "a")
        token.pool.maxAttempts = 2
        var claim = claimed(token)
        token = claim.token
        let failure = TokenResult(exitCode: 3, started: Timestamp(seconds: 1001), ended: Timestamp(seconds: 1009))
        token.finish(failure, of: claim)
        #expect(token.state == .todo)
        #expect(token.scrubCount == 1)
        #expect(token.exitCode == "")
        #expect(token.hostname == "")
        #expect(token["slurm_job_id"] == nil)
        #expect(token.pool.history.first?.exitCode == 3)

        claim = claimed(token, at: 1010)
        token = claim.token
        token.finish(failure, of: claim)
        #expect(token.state == .error)
        #expect(token.exitCode == 3)
        #expect(token.pool.attempts == 2)
        #expect(token.pool.history.count == 2)
    }

    @Test("a command that ended with 0 but failed otherwise leaves an error, and the history keeps the code")
    func failedAfterAll() {
        let claim = claimed(Token(id: "a"))
        for outcome in [Attempt.Outcome.failed, .timeLimit] {
            var token = claim.token
            token.finish(
                TokenResult(
                    outcome: outcome, exitCode: 0, started: Timestamp(seconds: 1001), ended: Timestamp(seconds: 1009)),
                of: claim)
            #expect(token.state == .error)
            #expect(token.pool.history.last?.exitCode == 0)
        }
    }

    @Test("with a retry delay it waits in none of PiCaS' views")
    func delay() throws {
        var token = Token(id: "a")
        token.pool.maxAttempts = 2
        token.pool.retryDelay = .seconds(60)
        let claim = claimed(token)
        token = claim.token
        token.finish(
            TokenResult(exitCode: 1, started: Timestamp(seconds: 1001), ended: Timestamp(seconds: 1009)), of: claim)
        #expect(token.state == .waiting)
        let due = try #require(token.pool.notBefore)
        #expect(Timestamp(seconds: 1054) <= due && due <= Timestamp(seconds: 1069))
    }

    @Test("a token handed back has its try again")
    func release() {
        var token = Token(id: "a")
        token.pool.maxAttempts = 1
        let claim = claimed(token)
        token = claim.token
        token.retire(
            Attempt(
                lease: "l1", worker: "w1", host: "node7", started: Timestamp(seconds: 1000),
                ended: Timestamp(seconds: 1002),
                outcome: .released))
        #expect(token.state == .todo)
        #expect(token.pool.attempts == 0)
        #expect(token.scrubCount == 1)
    }

    @Test("the history keeps the last ten tries")
    func bounded() {
        var token = Token(id: "a")
        token.pool.maxAttempts = 100
        for second in 0..<15 {
            let claim = claimed(token, at: 1000 + second)
            token = claim.token
            token.finish(
                TokenResult(exitCode: second, started: Timestamp(seconds: 1), ended: Timestamp(seconds: 2)).failed,
                of: claim)
        }
        #expect(token.pool.history.count == PoolFields.historyLimit)
        #expect(token.pool.history.last?.exitCode == 14)
    }

    @Test("a lease belongs to the lock it was written with: PiCaS' lock makes it a leftover")
    func leftover() {
        let claim = claimed(Token(id: "a"))
        var token = claim.token
        token.lock = 1234
        #expect(token.lease == nil)
        #expect(!claim.isHeld(in: token))
    }

    @Test("GRID_LRT's status, times and output are kept up in tokens that have them")
    func gridFields() {
        var token = Token(id: "t_demo_L1_SB000", type: "demo")
        token.status = "queued"
        token["times"] = [:]
        token.output = ""
        let claim = claimed(token)
        #expect(claim.token.status == "launched")
        token = claim.token
        token.finish(
            TokenResult(exitCode: 21, started: Timestamp(seconds: 1001), ended: Timestamp(seconds: 1009)), of: claim)
        #expect(token.status == "error")
        #expect(token.output == 21)
        #expect(token["times"] == ["launched": 1000, "error": 1009])
    }

    @Test("a reset is PiCaS' resetTokens: free again, no exit code, no logs, history and errors kept")
    func reset() {
        let claim = claimed(Token(id: "a"))
        var token = claim.token
        token.document.attachments = ["logs_a.out": ["stub": true], "in.txt": ["stub": true]]
        token.addError("it broke", at: Timestamp(seconds: 1005))
        token.reset(keepingAttachments: ["in.txt"], at: Timestamp(seconds: 1010))
        #expect(token.state == .todo)
        #expect(token.exitCode == "")
        #expect(token.hostname == "")
        #expect(token.scrubCount == 1)
        #expect(token.document.attachments.names == ["in.txt"])
        #expect(token.errors.count == 1)
        #expect(token.pool.history.map(\.outcome) == [.reset])
    }

    @Test("content sent with a save is a stub afterwards, so the next save keeps it")
    func stubs() throws {
        var token = Token(id: "a")
        token.attach(.init(name: "x", contentType: "text/plain", bytes: Array("hello".utf8)))
        let saved = token.saved(as: Revision(generation: 4, hash: "abc"))
        #expect(saved.document.attachments["x"]?["stub"] == true)
        #expect(saved.document.attachments["x"]?["data"] == nil)
        #expect(saved.document.attachments["x"]?["length"] == 5)
    }
}

extension TokenResult {
    /// The same, as a failure whatever the code.
    fileprivate var failed: TokenResult {
        var result = self
        result.outcome = .failed
        return result
    }
}

@Suite("Job ids")
struct JobIdentifierTests {
    @Test(
        "the first batch system's variable that is set names the field, in PiCaS' order",
        arguments: [
            (["DIRACJOBID": "1", "SLURM_JOB_ID": "2"], "dirac_job_id", JSON.string("1")),
            (["GLITE_WMS_JOBID": "https://wms/9"], "wms_job_id", "https://wms/9"),
            (["GLITE_WMS_JOBID": "x"], "wms_job_id", nil), (["CREAM_JOBID": "c"], "cream_job_id", "c"),
            (["PBS_JOBID": "7.server"], "pbs_job_id", "7.server"),
            (
                ["SLURM_ARRAY_JOB_ID": "4711", "SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "4714"], "slurm_job_id",
                "4711_3"
            ),
            (["SLURM_JOB_ID": "4714"], "slurm_job_id", "4714"),
        ])
    func job(environment: [String: String], field: String, value: JSON) {
        let job = WorkerIdentity.JobIdentifier(environment: environment)
        #expect(job?.field == field)
        #expect(job?.value == value)
    }

    @Test("outside a batch job there is none")
    func none() { #expect(WorkerIdentity.JobIdentifier(environment: ["HOME": "/"]) == nil) }
}
