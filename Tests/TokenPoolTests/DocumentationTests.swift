import CouchDocument
import Foundation
import Testing
import TokenPool

@Suite("docs/documents.md")
struct DocumentationTests {
    /// The examples by the word behind ```json.
    private static func examples() throws -> [String: Document] {
        let page = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/documents.md")
        var examples: [String: Document] = [:]
        for part in try String(contentsOf: page, encoding: .utf8).components(separatedBy: "```json ").dropFirst() {
            let name = String(part.prefix { !$0.isNewline })
            let text = part.dropFirst(name.count).components(separatedBy: "```")[0]
            examples[name] = Document(fields: try #require(try JSON(parsing: text).objectValue))
        }
        return examples
    }

    @Test("has an example of every document, each with an id and a type")
    func complete() throws {
        let examples = try Self.examples()
        #expect(
            Set(examples.keys) == [
                "token", "locked", "done", "picas", "grid", "set", "sandbox", "worker", "settings", "limit", "log",
                "job", "project", "file", "replicas", "staging", "tape", "rse", "proximity", "counter",
            ])
        for (name, document) in examples {
            #expect(!document.id.isEmpty, "\(name)")
            #expect(document["type"]?.stringValue?.isEmpty == false, "\(name)")
        }
    }

    @Test(
        "shows tokens in the states that it says",
        arguments: [
            ("token", TokenState.todo), ("locked", .locked), ("done", .done), ("picas", .todo), ("grid", .todo),
            ("file", .locked),
        ])
    func states(name: String, state: TokenState) throws {
        let token = Token(try #require(try Self.examples()[name]))
        #expect(token.state == state)
        #expect(token.pool.history.count == (token["pool"]?["history"]?.arrayValue?.count ?? 0))
    }

    @Test("has PiCaS' ten base fields on the tokens that are not GRID_LRT's, in the order of a new one")
    func baseFields() throws {
        let base = Token(id: "x").document.fields.names
        for name in ["token", "locked", "done", "picas", "file"] {
            let names = try #require(try Self.examples()[name]).fields.names.filter(base.contains)
            #expect(names == base, "\(name)")
        }
    }

    @Test("shows a lease that belongs to its lock, and every member that the code knows is explained")
    func members() throws {
        let examples = try Self.examples()
        let locked = Token(try #require(examples["locked"]))
        #expect(locked.lease?.worker == "node7:31819:12aey7o")
        let token = Token(try #require(examples["token"]))
        #expect(token.pool.maxAttempts == 3)
        #expect(token.pool.retryDelay == .seconds(60))
        #expect(token.pool.timeLimit == .seconds(3600))
        #expect(token.pool.leaseLength == .seconds(300))
        #expect(token.pool.logLimit == 1 << 20)
        #expect(token.pool.outputs.count == 2)
        #expect(token.pool.requires.names == ["cores", "memory"])
        #expect(token.pool.environment.names == ["OMP_NUM_THREADS"])
    }

    @Test("shows documents that the code reads as what they are")
    func others() throws {
        let examples = try Self.examples()
        let example = try #require(examples["set"])
        let set = try #require(TokenSet(example))
        #expect(set.name == "sweep")
        #expect(set.state == .ready)
        #expect(TokenSet.documentID("sweep") == examples["set"]?.id)
        let log = try #require(examples["log"].flatMap(LogDocument.init))
        #expect(log.levelName == "warning" && log.metadata == ["free": "2%"])
        let job = try #require(examples["job"].flatMap(BatchJob.init))
        #expect(job.method == "slurm" && job.started != nil && !job.isDone)
        #expect(examples["worker"]?.id == "worker_" + (examples["worker"]?["name"]?.stringValue ?? ""))
    }
    @Test("shows projects and their files as the code writes them")
    func projects() throws {
        let examples = try Self.examples()
        let project = try #require(examples["project"].flatMap { Project($0) })
        #expect(project.state == .active && project.workerTimeout == .seconds(43200) && project.users == ["bob"])
        #expect(Project.documentID(project.number) == project.document.id)
        let file = try #require(examples["file"].flatMap { Project.FileHandle($0) })
        let did = try #require(file.did)
        #expect(file.state == .reserved && file.workerID == "w1" && file.rses == ["DISK_A", "DISK_B"])
        #expect(Project.FileHandle.documentID(file.project, did) == file.id && file.project == project.number)
        #expect(examples["replicas"]?.id == FileReplicas.documentID(did))
        #expect(examples["rse"]?.id == RSE.documentID("DISK_A"))
        #expect(Set(RSE(name: "DISK_A").document.fields.names) == Set(examples["rse"]?.fields.names ?? []))
    }
}
