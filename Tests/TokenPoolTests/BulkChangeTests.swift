import CouchDB
import CouchDocument
import TestSupport
import Testing
import TokenPool

@Suite("Resetting and deleting by view", .timeLimit(.minutes(2)))
struct BulkChangeTests {
    private let error = ViewName(design: "Monitor", view: "error")

    private func fail(_ pool: Pool, _ count: Int) async throws {
        try await pool.add((0..<count).map { "t \($0)/ü" }) { token in
            token.lock = 1_600_000_000 + (Int(token.id.dropFirst(2).prefix { $0 != "/" }) ?? 0)
            token.done = token.lock
            token.exitCode = 1
            token.attach(.init(name: token.logName("out"), contentType: "text/plain", bytes: [65]))
            token.attach(.init(name: "input.txt", contentType: "text/plain", bytes: [66]))
        }
    }

    @Test("a reset puts all of a view back, page after page, those old enough only, and keeps the input files")
    func reset() async throws {
        try await withPool { pool, clock in
            try await fail(pool, 1203)
            let young = try await pool.reset(
                error, lockedFor: clock.now() - Timestamp(seconds: 1_600_000_600))
            #expect(young.changed == 600 && young.left == 603 && young.contended.isEmpty)
            let rest = try await pool.reset(error)
            #expect(rest.changed == 603)
            let token = try await pool.token("t 7/ü")
            #expect(token.state == .todo && token.scrubCount == 1 && token.exitCode == "")
            #expect(token.document.attachments.names == ["input.txt"])
            #expect(try await pool.database.view(.picasTodo).rows.count == 1203)
        }
    }

    @Test("a deletion deletes all of a view, and leaves what somebody moved out of it meanwhile")
    func delete() async throws {
        try await withPool { pool, clock in
            try await fail(pool, 200)
            // Somebody else resets them one by one at the same time; each token is either deleted or todo again.
            async let deletion = pool.delete(error)
            var reset = 0
            for number in 0..<200 {
                do {
                    try await pool.update("t \(number)/ü") { token in
                        token.reset(at: clock.now())
                        return true
                    }
                    reset += 1
                } catch let error as PoolError where error.code == .noSuchToken { continue }
            }
            let report = try await deletion
            #expect(report.changed + reset == 200 && report.contended.isEmpty)
            #expect(try await pool.database.view(.picasTodo).rows.count == reset)
            #expect(try await !pool.hasRows(in: error))
            await #expect { try await pool.delete(ViewName(design: "Monitor", view: "nope")) } throws: {
                ($0 as? PoolError)?.code == .noSuchView
            }
        }
    }

    @Test(
        "many ids are reset and deleted by the batch; those that are not there are told, odd ones are as good as others"
    )
    func ids() async throws {
        try await withCountedPool { pool, counter in
            try await fail(pool, 700)
            let ids = (0..<700).map { "t \($0)/ü" }
            _ = counter.take()
            let reset = try await pool.reset(ids + ["not there", ids[0]])
            #expect(reset.changed == 700 && reset.missing == ["not there"])
            #expect(counter.take().count == 4)
            // What is free already stays as it is.
            #expect(try await pool.reset(Array(ids.prefix(3))).left == 3)
            var deleted: [String] = []
            let report = try await pool.delete(ids, note: { deleted.append($0) })
            #expect(report.changed == 700 && Set(deleted) == Set(ids))
            #expect(try await pool.delete(Array(ids.prefix(2))).missing.count == 2)
            await #expect { try await pool.delete("t 0/ü") } throws: { ($0 as? PoolError)?.code == .noSuchToken }
        }
    }
}
