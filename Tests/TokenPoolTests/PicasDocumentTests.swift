import CouchDB
import CouchDocument
import DesignDocuments
import Logging
import TestSupport
import Testing
import TokenPool

@Suite("PiCaS' other documents and its views", .timeLimit(.minutes(2)))
struct PicasDocumentTests {
    @Test("a logger's lines become log documents, many of them in a second, grave ones found by level, none waited for")
    func logging() async throws {
        try await withPool { pool, clock in
            let log = PoolLog(database: pool.database, host: "node 7/ü", clock: clock)
            var logger = Logger(label: "test") { log.handler(label: $0) }
            logger[metadataKey: "run"] = "5"
            for number in 0..<700 { logger.info("line \(number)") }
            logger.warning("disk \"full\"\nnow", metadata: ["free": "2%"])
            logger.debug("not this one")
            #expect(log.waiting == 701)
            // Nothing was sent yet: whoever logs does not wait.
            #expect(try await pool.log().isEmpty)
            let writing = Task { try await log.run() }
            writing.cancel()
            try await writing.value
            let lines = try await pool.log()
            #expect(lines.count == 701)
            let grave = try await pool.log(level: Logger.Level.warning.pythonNumber)
            #expect(grave.map(\.message) == ["disk \"full\"\nnow"])
            let line = try #require(grave.first)
            #expect(line.metadata == ["free": "2%", "run": "5"] && line.levelName == "warning")
            #expect(line.host == "node 7/ü" && line.created == clock.now())
            for name in ["lvl", "msg", "created", "func", "host", "trance_nr", "type"] {
                #expect(line.document[name] != nil, "\(name)")
            }
            #expect(try await pool.log(limit: 2).count == 2)
            #expect(try await pool.log(limit: 600).count == 600)
            #expect(try await pool.log(since: clock.now() + .seconds(1)).isEmpty)
            #expect(try await pool.delete(.log, upTo: (clock.now() - .seconds(1)).json).changed == 0)
            #expect(try await pool.delete(.log, upTo: clock.now().json).changed == 701)
        }
    }

    @Test("while the server is away lines wait, up to a bound, and a line says how many were dropped")
    func away() async throws {
        try await withPool { pool, clock in
            let log = PoolLog(database: pool.database, host: "h", capacity: 10, clock: clock)
            let logger = Logger(label: "test") { log.handler(label: $0) }
            for number in 0..<25 { logger.error("line \(number)") }
            #expect(log.waiting == 10)
            try await log.flush()
            let lines = try await pool.log().map(\.message)
            #expect(lines.count == 11)
            #expect(lines.contains { $0.hasPrefix("15 lines of this log were dropped") })
            // What is written by a request whose answer was lost is not written twice, and a database that is not there ends it.
            let nowhere = PoolLog(database: pool.database.server.database("no-such-pool"), host: "h")
            Logger(label: "x") { nowhere.handler(label: $0) }.info("x")
            await #expect { try await nowhere.run() } throws: { CouchDBError.notFound ~= $0 }
        }
    }

    @Test("where some lines are refused a line says how many; where all are, the log ends", .timeLimit(.minutes(1)))
    func refused() async throws {
        try await withPool { pool, clock in
            let rule = """
                function (doc) {
                  var text = doc.msg || '';
                  if (text.indexOf('odd') >= 0) { throw({forbidden: 'no odd ones'}); }
                  if (text.indexOf('never') >= 0) { throw({forbidden: 'nothing'}); }
                }
                """
            var rules = Document(id: "_design/rules", fields: ["validate_doc_update": .string(rule)])
            rules.revision = try await pool.database.save(rules)
            let log = PoolLog(database: pool.database, host: "h", clock: clock)
            let logger = Logger(label: "test") { log.handler(label: $0) }
            for number in 0..<5 { logger.error("line \(number % 2 == 0 ? "even" : "odd")") }
            try await log.flush()
            let lines = try await pool.log().map(\.message)
            #expect(lines.filter { $0 == "line even" }.count == 3)
            #expect(lines.contains { $0.hasPrefix("2 lines of this log were dropped") })
            // The line that tells of it is refused as well: it is not told again for ever.
            rules["validate_doc_update"] = "function () { throw({forbidden: 'no more'}); }"
            try await pool.database.save(rules)
            logger.error("line never")
            await #expect { try await log.run() } throws: { CouchDBError.forbidden ~= $0 }
        }
    }

    @Test("a batch job is queued, starts, ends and is archived under a name of its own, files included")
    func job() async throws {
        try await withPool { pool, clock in
            try await pool.updateJob("slurm/47 11") { $0.queue(method: "slurm", host: "sp1", at: clock.now()) }
            clock.advance(.seconds(5))
            try await pool.updateJob("slurm/47 11") { $0.start(host: "node7", at: clock.now()) }
            var job = try #require(try await pool.job("slurm/47 11"))
            #expect(job.method == "slurm" && job.hostname == "node7" && !job.isDone)
            #expect(job.started == clock.now() && job.queued == Timestamp(seconds: clock.now().seconds - 5))
            job.document.revision = try await pool.database.putAttachment(
                "out.txt", to: job.id, revision: job.document.revision, contentType: "text/plain",
                body: .bytes(Array("hello".utf8)))
            clock.advance(.seconds(5))
            let kept = try await pool.archive(job)
            #expect(kept.id == "archived-slurm/47 11-\(clock.now().seconds)" && kept.isDone)
            #expect(try await pool.job(job.id) == nil)
            let stored = try #require(try await pool.job(kept.id))
            #expect(stored.document["archive"] == .integer(clock.now().seconds))
            #expect(stored.document.attachment("out.txt")?.length == 5)
            _ = try await pool.add(["token"])
            await #expect(throws: PoolError.self) { try await pool.updateJob("token") { $0.finish(at: clock.now()) } }
        }
    }

    @Test(
        "SingleCore and MultiCore have the rows of their tokens; a probe reads one row, and a missing view is no empty one"
    )
    func views() async throws {
        try await withPool { pool, _ in
            try await pool.database.push(PicasViews.singleCore)
            try await pool.database.push(PicasViews.multiCore)
            try await pool.add(["one", "four", "none"]) { token in
                token["cores"] = ["one": 1, "four": 4][token.id]
            }
            for (design, ids) in [("SingleCore", ["one"]), ("MultiCore", ["four"])] {
                let todo = ViewName(design: design, view: "todo")
                #expect(try await pool.database.view(todo).rows.map(\.id) == ids)
                #expect(try await pool.hasRows(in: todo))
                #expect(try await !pool.hasRows(in: ViewName(design: design, view: "error")))
                #expect(try await pool.claim(5, from: todo, as: worker("w")).map(\.token.id) == ids)
                var query = ViewQuery()
                query.group = true
                let total = try await pool.database.view(ViewName(design: design, view: "overview_total"), query)
                #expect(total.rows.map { "\($0.key) \($0.value)" } == ["\"locked\" 1"])
            }
            await #expect { try await pool.hasRows(in: ViewName(design: "SingleCore", view: "nope")) } throws: {
                ($0 as? PoolError)?.code == .noSuchView
            }
            #expect(PicasViews.design("Monitor").views.keys.sorted() == DesignDocuments.monitor.views.keys.sorted())
        }
    }

    @Test(
        "a user is made, changes its password and keeps its roles; membership is given and taken, and the last one closes"
    )
    func users() async throws {
        try await withPool { pool, _ in
            let server = pool.database.server
            _ = try await server.createDatabaseIfMissing("_users")
            let name = "anna-\(UInt64.random(in: 0 ... .max)) ü"
            func session(_ password: String) async throws -> Session {
                var configuration = try ServerConfiguration(url: try await TestServer.shared().url)
                configuration.credentials = .basic(user: name, password: password)
                let other = try Server(configuration)
                do {
                    let session = try await other.session()
                    _ = try await other.database(pool.database.name).info()
                    await other.shutdown()
                    return session
                } catch {
                    await other.shutdown()
                    throw error
                }
            }
            try await server.saveUser(name: name, password: "first", roles: ["pilot"])
            try await pool.database.allow(names: [name])
            #expect(try await !pool.database.allow(names: [name]))
            #expect(try await session("first").roles == ["pilot"])
            try await server.changePassword(of: name, to: "second:\"=")
            #expect(try await session("second:\"=").roles == ["pilot"])
            await #expect { try await session("first") } throws: { CouchDBError.unauthorized ~= $0 }
            #expect(try await server.users().contains { $0.name == name && $0.roles == ["pilot"] })
            try await pool.database.deny(names: [name])
            await #expect { try await session("second:\"=") } throws: { CouchDBError.forbidden ~= $0 }
            // With nobody left in it CouchDB would let everybody in.
            try await pool.database.deny(roles: ["_admin"])
            #expect(try await pool.database.security().members.roles == ["_admin"])
            try await server.deleteUser(name)
            await #expect { try await server.changePassword(of: name, to: "x") } throws: { CouchDBError.notFound ~= $0 }
        }
    }
}
