import CouchDB
import CouchDocument
import TestSupport
import Testing
import TokenPool

@Suite("Tokens nested in a document, as PiCaS' modifiers have them")
struct NestedTokenTests {
    private let modifier = TokenModifier(
        worker: WorkerIdentity(
            name: "w", hostname: "node7", job: .init(environment: ["SLURM_JOB_ID": "4711"])),
        clock: ManualClock(Timestamp(seconds: 1_700_000_000)))

    @Test("a modifier locks only what is free; unlock, close, unclose, scrub and error are PiCaS'")
    func modifiers() {
        var token = TokenModifier.emptyToken
        #expect(modifier.lock(&token))
        #expect(token["lock"] == 1_700_000_000 && token["hostname"] == "node7" && token["slurm_job_id"] == "4711")
        let held = token
        #expect(!modifier.lock(&token))
        #expect(token == held)
        modifier.close(&token)
        #expect(token["done"] == 1_700_000_000)
        #expect(!modifier.lock(&token))
        modifier.unclose(&token)
        #expect(token["done"] == 0 && token["slurm_job_id"] == nil)
        modifier.addOutput(["exit_code": 3, "answer": 42], to: &token)
        modifier.close(&token)
        modifier.scrub(&token)
        #expect(token["scrub_count"] == 1 && token["lock"] == 0 && token["done"] == 0 && token["answer"] == 42)
        #expect(token["exit_code"] == "" && token["hostname"] == "")
        #expect(modifier.lock(&token))
        modifier.unlock(&token)
        #expect(token["lock"] == 0 && token["scrub_count"] == 1)
        modifier.setError(&token)
        #expect(token["lock"] == 99 && token["done"] == 99)
    }

    @Test("a path leads through members and elements, also when a view's key has it, and changes nothing else")
    func paths() throws {
        var record = try #require(
            try JSON(parsing: #"{"a":1,"runs":[{"t":{"lock":0}},{"t":{"lock":0,"x":"y/ü"}}],"top":{"lock":0}}"#)
                .objectValue
        )
        let path = try #require(NestedTokenPath(viewKey: ["record", "runs", 1, "t"]))
        #expect(path == ["runs", 1, "t"] && "\(path)" == "runs.1.t")
        var token = try #require(path.token(in: record))
        token["lock"] = 5
        path.set(token, in: &record)
        #expect(
            JSON.object(record).description
                == #"{"a":1,"runs":[{"t":{"lock":0}},{"t":{"lock":5,"x":"y/ü"}}],"top":{"lock":0}}"#)
        #expect(NestedTokenPath(viewKey: "top")?.token(in: record) == ["lock": 0])
        for nowhere: NestedTokenPath in [["runs", 2, "t"], ["a", "b"], ["runs", "t"], ["a"]] {
            #expect(nowhere.token(in: record) == nil)
            let before = record
            nowhere.set([:], in: &record)
            #expect(record == before)
        }
        #expect(NestedTokenPath(viewKey: ["only"]) == nil && NestedTokenPath(viewKey: 7) == nil)
    }

    @Test("of many workers one gets each nested token, and no other token of the document is lost")
    func exclusive() async throws {
        try await withPool { pool, _ in
            let tokens = (0..<4).map { _ in JSON.object(TokenModifier.emptyToken) }
            try await pool.database.save(Document(id: "record", fields: ["type": "record", "runs": .array(tokens)]))
            let won = try await withThrowingTaskGroup(of: [Int].self) { group in
                for worker in 0..<4 {
                    group.addTask {
                        let modifier = TokenModifier(worker: WorkerIdentity(name: "w", hostname: "node\(worker)"))
                        var won: [Int] = []
                        for index in 0..<4 {
                            let path: NestedTokenPath = ["runs", .element(index)]
                            if try await pool.update(path, of: "record", modifier.lock) { won.append(index) }
                        }
                        return won
                    }
                }
                var all: [Int] = []
                for try await some in group { all += some }
                return all
            }
            #expect(won.sorted() == [0, 1, 2, 3])
            let record = try await pool.token("record")
            #expect(record["runs"]?.arrayValue?.allSatisfy { ($0["lock"]?.intValue ?? 0) > 0 } == true)
            await #expect(throws: PoolError.self) { try await pool.update(["runs", 9], of: "record", modifier.lock) }
        }
    }
}
