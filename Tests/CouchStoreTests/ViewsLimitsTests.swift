import CouchDocument
import CouchStore
import Foundation
import Testing

@Suite("Limits of view functions")
struct ViewsLimitsTests {
    private static let documents = (0..<5).map { "{\"_id\":\"d\($0)\",\"n\":\($0)}" }
    private static let plain = DesignDocument(map: "function (doc) { emit(doc.n); }")

    @Test(
        "a map function that takes all memory is stopped and named, and the other views go on",
        arguments: [
            "var all = []; while (true) all.push([1, 2, 3, {a: 4}]);",
            "var text = 'x'; while (true) text += text + Math.random();",
            "var text = []; while (true) text.push('abcdefgh'.repeat(1 << 20) + text.length);",
            "var all = []; while (true) all.push(new Uint8Array(1 << 20));",
        ])
    func memory(body: String) async throws {
        try await ViewBench.run(Self.documents, bytes: 64 << 20) { bench in
            let hungry = DesignDocument(map: "function (doc) { emit(doc.n); if (doc.n === 3 && !doc.ok) { \(body) } }")
            do {
                // Where JavaScript itself throws before the limit, the document is left out, as for anything thrown.
                let ids = try await bench.page(hungry).rows.map(\.id)
                #expect(ids == ["d0", "d1", "d2", "d4"])
            } catch let error as StoreError {
                #expect(error.code.status == 500)
                #expect(
                    error.reason.contains("took more than 64 MiB of memory") && error.reason.contains("\"d3\""),
                    "\(error.reason)")
            }
            try await bench.expect(Self.plain, ids: ["d0", "d1", "d2", "d3", "d4"])
            try bench.log.put("{\"_id\":\"d3\",\"n\":3,\"ok\":true}")
            try await bench.expect(hungry, ids: ["d0", "d1", "d2", "d3", "d4"])
        }
    }

    @Test("what a function keeps between documents counts too, and is gone with its machine")
    func keeping() async throws {
        let documents = (0..<400).map { "{\"_id\":\"d\($0)\",\"n\":\($0)}" }
        let map =
            "(function () { var kept = []; return function (doc) {"
            + " for (var i = 0; i < 20000; i++) kept.push({n: [doc.n]}); emit(doc.n); }; })()"
        try await ViewBench.run(documents, bytes: 32 << 20) { bench in
            let error = await #expect(throws: StoreError.self) { try await bench.rows(DesignDocument(map: map)) }
            #expect(error?.reason.contains("took more than 32 MiB of memory") == true)
            let rows = try await bench.rows(Self.plain)
            #expect(rows.count == 400)
        }
    }

    @Test("a reduce function that takes all memory is stopped")
    func reduce() async throws {
        try await ViewBench.run(Self.documents, bytes: 64 << 20) { bench in
            let design = DesignDocument(
                map: "function (doc) { emit(doc.n, 1); }",
                reduce: "function () { var all = []; while (true) all.push([1, 2, 3]); }")
            let error = await #expect(throws: StoreError.self) { try await bench.rows(design) }
            #expect(error?.reason == "reduce function took more than 64 MiB of memory and was stopped")
            let rows = try await bench.rows(Self.plain)
            #expect(rows.count == 5)
        }
    }

    @Test("functions have CouchDB's names around them and no others that reach outside")
    func names() async throws {
        let map = """
            function (doc) {
              ['emit', 'sum', 'log', 'isArray', 'toJSON', 'require', 'JSON'].forEach(function (name) {
                emit(name, typeof this[name] !== 'undefined' || eval('typeof ' + name) !== 'undefined');
              });
              ['console', 'load', 'print', 'quit', 'gc', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'process', 'fetch',
               'XMLHttpRequest', 'setTimeout', 'readFile', 'importScripts', 'seal', '$vm'].forEach(function (name) {
                emit(name, eval('typeof ' + name) !== 'undefined');
              });
            }
            """
        try await ViewBench.run(["{\"_id\":\"a\"}"]) { bench in
            let rows = try await bench.page(DesignDocument(map: map)).rows
            let there = rows.filter { Array($0.value) == Array("true".utf8) }
                .map { String(decoding: $0.key, as: UTF8.self) }
            #expect(
                there.sorted()
                    == ["emit", "isArray", "JSON", "log", "require", "sum", "toJSON"].map { "\"\($0)\"" }.sorted())
        }
    }

    #if os(Linux)
        @Test("JavaScript's collector has SIGPWR and nothing else in the process")
        func signals() async throws {
            try await ViewBench.run(Self.documents) { bench in
                _ = try await bench.rows(Self.plain)
                let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
                let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") })
                let caught = try #require(UInt64(line.split(separator: "\t").last ?? "", radix: 16))
                #expect(caught & (1 << UInt64(SIGPWR - 1)) != 0)
                #expect(caught & (1 << UInt64(SIGUSR2 - 1)) == 0)
            }
        }
    #endif
}
