import ArgumentParser
import CouchDB
import DesignDocuments
import Foundation
import TokenPool

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct SetBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "The life of one large set: created, worked, watched, collected, deleted.",
        discussion: """
            The tokens are claimed and finished by one pilot of 32 slots without commands, while somebody watches. Tells \
            the time of each step, and the most memory that this program ever had.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(help: "Tokens of the set.")
    var tokens = 100_000

    func run() async throws {
        try await bench.report("set", [("tokens", "\(tokens)")]) { server, report in
            try await BenchDatabase.with(server) { database in
                for design in DesignDocuments.all { try await database.push(design) }
                try await bench.eachRun { run in
                    try await live("set\(run)", Pool(database: database), &report)
                }
            }
        }
    }

    private func live(_ name: String, _ pool: Pool, _ report: inout BenchReport) async throws {
        let sets = TokenSets(pool)
        let create = try await seconds { try await sets.create(configuration(name)) }
        report.add("created", create, unit: "s")
        report.add("memory of the client after that, at most", Self.peakMegabytes, unit: "MB")
        let first = try await seconds { try await ClaimCycle(pool: pool, slots: 32).run(1) }
        report.add("first token claimed and finished", first, unit: "s")
        let work = try await seconds {
            async let sight = sets.watch(name) { _ in }
            try await ClaimCycle(pool: pool, slots: 32).run(tokens - 1)
            let counts = try await sight.counts
            guard counts[.done] == tokens else {
                throw CommandFailure(message: "\(counts[.done]) of \(tokens) tokens are done")
            }
        }
        report.add("claimed and finished", Double(tokens) / work, unit: "tokens/s")
        let watch = try await seconds { try await sets.watch(name) { _ in } }
        report.add("one look at it", watch * 1000, unit: "ms")
        var size = 0
        let table = try await seconds {
            let rows = try await sets.table(of: name, as: .jsonl) { size += $0.utf8.count }
            guard rows == tokens else { throw CommandFailure(message: "the table has \(rows) rows") }
        }
        report.add("table of all tokens", table, unit: "s")
        let delete = try await seconds {
            let count = try await sets.delete(name)
            guard count == tokens else { throw CommandFailure(message: "\(count) tokens were deleted") }
        }
        report.add("deleted", delete, unit: "s")
        report.add("memory of the client in all, at most", Self.peakMegabytes, unit: "MB")
    }

    private func configuration(_ name: String) throws -> SetConfiguration {
        let file = NSTemporaryDirectory() + "tokenpool-bench-\(ProcessInfo.processInfo.processIdentifier).yaml"
        let text = "set: \(name)\ntokens: {range: 1..\(tokens)}\ncommand: echo {n}\n"
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(atPath: file) }
        return try SetConfiguration(file: file)
    }

    private static var peakMegabytes: Double {
        var usage = rusage()
        #if canImport(Glibc)
            getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
            return Double(usage.ru_maxrss) / 1024
        #else
            getrusage(RUSAGE_SELF, &usage)
            return Double(usage.ru_maxrss) / 1_048_576
        #endif
    }
}
