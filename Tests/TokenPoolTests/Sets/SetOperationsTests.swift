import CouchDB
import CouchDocument
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import TokenPool

@Suite("Working with sets")
struct SetOperationsTests {
    /// A set of six tokens: one done with files, one in error, one locked, three todo.
    private func withWorkedSet(_ body: (TokenSets, Scratch) async throws -> Void) async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            try await sets.create(
                try configuration("set: s\ntokens: [a, b, c, d, e, 'f/../g']\nname: \"{item}\"\n", scratch))
            try await sets.pool.update("s_a") { token in
                (token.lock, token.done, token.exitCode) = (1000, 1010, 0)
                token.document.attachments["out/a b.txt"] = .inlineAttachment(Array("result".utf8), type: "text/plain")
                token.document.attachments["../evil"] = .inlineAttachment(Array("x".utf8), type: "text/plain")
                return true
            }
            try await sets.pool.update("s_b") { token in
                (token.lock, token.done, token.exitCode) = (1000, 1010, 3)
                return true
            }
            try await sets.pool.update("s_c") { token in
                token.lock = SystemClock().now().seconds
                return true
            }
            try await body(sets, scratch)
        }
    }

    @Test("counts, list and show tell the states")
    func counts() async throws {
        try await withWorkedSet { sets, _ async throws in
            let expected = StateCounts([.todo: 3, .locked: 1, .done: 1, .error: 1])
            #expect(try await sets.counts(of: "s") == expected)
            #expect(try await sets.allCounts() == ["s": expected])
            await #expect {
                try await sets.set("S")
            } throws: {
                "\($0)".hasSuffix("; did you mean \"s\"?")
            }
        }
    }

    @Test("files of done tokens are collected under safe names, once, and again when they changed")
    func collect() async throws {
        try await withWorkedSet { sets, scratch async throws in
            let folder = scratch.path("out")
            let first = try await sets.collect("s", into: folder)
            #expect(first.tokens == 1 && first.files == 2 && first.bytes == 7)
            #expect(try String(contentsOfFile: folder + "/s_a/out/a b.txt", encoding: .utf8) == "result")
            #expect(try String(contentsOfFile: folder + "/s_a/%2E./evil", encoding: .utf8) == "x")
            #expect(!FileManager.default.fileExists(atPath: folder + "/evil"))
            let second = try await sets.collect("s", into: folder)
            #expect(second.files == 0 && second.present == 2)
            try await sets.pool.update("s_a") { token in
                token.document.attachments["out/a b.txt"] = .inlineAttachment(Array("other!".utf8), type: "text/plain")
                return true
            }
            #expect(try await sets.collect("s", into: folder, matching: { $0.hasPrefix("out/") }).files == 1)
            #expect(try String(contentsOfFile: folder + "/s_a/out/a b.txt", encoding: .utf8) == "other!")
        }
    }

    @Test("reset puts back tokens of a state, or those locked long ago")
    func reset() async throws {
        try await withWorkedSet { sets, _ async throws in
            #expect(try await sets.reset("s") == 1)
            let token = try await sets.pool.token("s_b")
            #expect(token.state == .todo && token.scrubCount == 1 && token.exitCode == "")
            #expect(try await sets.reset("s", states: [.locked], olderThan: .seconds(3600)) == 0)
            #expect(try await sets.reset("s", states: [.locked]) == 1)
            #expect(try await sets.reset("s", states: [.done], removingAttachmentsBut: ["../evil"]) == 1)
            #expect(try await sets.pool.token("s_a").document.attachments.names == ["../evil"])
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 6]))
        }
    }

    @Test("a cancelled set starts nothing more until it is resumed")
    func cancel() async throws {
        try await withWorkedSet { sets, _ async throws in
            #expect(try await sets.cancel("s") == 3)
            #expect(try await sets.counts(of: "s") == StateCounts([.waiting: 3, .locked: 1, .done: 1, .error: 1]))
            #expect(try await sets.ids(.picasTodo).isEmpty)
            try await sets.resume("s")
            #expect(try await sets.counts(of: "s")[.todo] == 3)
        }
    }

    @Test("sets of several pages are cancelled, resumed, made a table of and deleted whole")
    func pages() async throws {
        try await withSets { sets async throws in
            let scratch = try Scratch()
            let count = 2 * TokenSets.batchSize + 7
            try await sets.create(try configuration("set: s\ntokens: {range: 1..\(count)}\n", scratch))
            #expect(try await sets.cancel("s") == count)
            #expect(try await sets.counts(of: "s") == StateCounts([.waiting: count]))
            try await sets.resume("s")
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: count]))
            var ids: Set<Substring> = []
            let rows = try await sets.table(of: "s", as: .csv, columns: ["_id"]) { ids.insert($0.dropLast()) }
            #expect(rows == count && ids.count == count + 1)
            // Exactly two pages, and the view says so only when the third one is asked for.
            #expect(try await sets.pool.delete((1...7).map { "s_\($0)" }).changed == 7)
            #expect(try await sets.delete("s") == count - 7)
            #expect(try await sets.counts(of: "s").total == 0)
        }
    }

    @Test("a set with running tokens is deleted only by force, and then whole")
    func delete() async throws {
        try await withWorkedSet { sets, _ async throws in
            await #expect(throws: PoolError.self) { try await sets.delete("s") }
            #expect(try await sets.delete("s", force: true) == 6)
            #expect(try await sets.counts(of: "s").total == 0)
            #expect(try await sets.list(includingUnfinished: true).isEmpty)
        }
    }

    @Test("an archive brings a set back with its files and states; what was locked is todo")
    func archive() async throws {
        try await withWorkedSet { sets, scratch async throws in
            let archived = try await sets.archive("s", to: scratch.path("a"))
            #expect(archived.tokens == 6 && archived.files == 2)
            await #expect(throws: PoolError.self) { try await sets.archive("s", to: scratch.path("a")) }
            await #expect(throws: PoolError.self) { try await sets.restore(from: scratch.path("a")) }
            try await sets.delete("s", force: true)
            let restored = try await sets.restore(from: scratch.path("a"))
            #expect(restored.tokens == 6 && restored.present == 0)
            #expect(try await sets.counts(of: "s") == StateCounts([.todo: 4, .done: 1, .error: 1]))
            let bytes = try await sets.database.attachment("out/a b.txt", of: "s_a").bytes(upTo: 100)
            #expect(String(decoding: bytes, as: UTF8.self) == "result")
            #expect(try await sets.set("s").state == .ready)
        }
    }

    @Test("watching ends when the last token has ended")
    func watch() async throws {
        try await withWorkedSet { sets, _ async throws in
            var sights = 0
            let last = try await sets.watch("s", every: .milliseconds(10)) { sight in
                sights += 1
                guard sights == 1 else { return }
                #expect(!sight.isOver && sight.total == 6 && sight.rate == nil)
                for id in ["s_c", "s_d", "s_e", "s_f/../g"] {
                    try await sets.pool.update(id) { token in
                        (token.lock, token.done, token.exitCode) = (1000, 1010, 0)
                        return true
                    }
                }
            }
            #expect(last.isOver && last.counts == StateCounts([.done: 5, .error: 1]))
        }
    }

    @Test("the pace is what ended within the last minute")
    func pace() {
        var pace = SetPace()
        let start = Timestamp(seconds: 1000)
        #expect(pace.rate(ended: 5, at: start) == nil)
        #expect(pace.rate(ended: 25, at: start + .seconds(10)) == 2)
        #expect(pace.rate(ended: 25, at: start + .seconds(90)) == 0)
    }

    @Test("a list of tokens is saved, changed and deleted in bulk, and tells what others changed")
    func list() async throws {
        try await withDatabase { database in
            var list = TokenList(type: "demo", database: database)
            for index in 0..<5 { try list.append(Token(id: "t\(index)", type: "demo")) }
            #expect(throws: PoolError.self) { try list.append(Token(id: "t0", type: "demo")) }
            #expect(throws: PoolError.self) { try list.append(Token(id: "x", type: "other")) }
            #expect(try await list.save() == [])
            try await list.addTokenViews()
            list.set("OBSID", to: "L1")
            list.attach(Array("a=b".utf8), as: "x.parset")
            try await Pool(database: database).update("t3") {
                $0["mine"] = 1
                return true
            }
            #expect(try await list.save() == ["t3"])
            #expect(try await list.tokens(in: "todo").tokens.map(\.id) == ["t0", "t1", "t2", "t3", "t4"])
            try await list.fetch()
            #expect(list["t3"]?["OBSID"] == nil && list["t2"]?["OBSID"] == "L1")
            #expect(try await list.delete() == [])
            #expect(try await list.tokens(in: "todo").tokens.isEmpty)
        }
    }
}
