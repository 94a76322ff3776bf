import ArgumentParser
import CouchDB
import CouchDocument

struct ProjectBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "project", abstract: "Reserve and release files of projects through the dispatcher.",
        discussion: """
            Makes projects of files that need no replicas in the pool that the dispatcher serves, over its HTTP interface, \
            and deletes them at the end. The database must be there: `tokenpool init`. For each size: the time to make a \
            project, the cycles of one worker, and those of many at once. At the end, how late the time-out of one file is \
            acted on while many others are reserved.
            """)

    @OptionGroup var bench: BenchOptions

    @Option(name: .customLong("files"), help: "Files of a project; may be given several times (default: 100, 10000).")
    var sizes: [Int] = []

    @Option(help: "Workers at once, each with a connection of its own; 0 leaves that out.")
    var workers = 50

    @Option(
        help: "Files that are reserved and released in each run; small projects are made anew as often as that takes.")
    var cycles = 2_000

    @Option(help: "Files that are reserved while one that others wait for is timed out; 0 leaves that out.")
    var reserved = 0

    func validate() throws {
        guard sizes.allSatisfy({ $0 > 0 }), workers >= 0, cycles > 0, reserved >= 0 else {
            throw ValidationError("--files and --cycles are above 0, --workers and --reserved not below")
        }
    }

    func run() async throws {
        let sizes = sizes.isEmpty ? [100, 10_000] : sizes
        let settings = [
            ("files", sizes.map(String.init).joined(separator: ",")), ("workers", "\(workers)"),
            ("cycles", "\(cycles)"), ("reserved", "\(reserved)"),
        ]
        try await bench.report("project", settings) { _, report in
            let dispatcher = try await BenchDispatcher.signedIn(
                try bench.options.settings(), logger: bench.options.logger)
            for files in sizes { try await measure(dispatcher, files, &report) }
            if reserved > 0 { try await measureTimeout(dispatcher, &report) }
        }
    }

    /// Runs the body with a project that is deleted afterwards.
    private func withProject(
        _ dispatcher: BenchDispatcher, _ files: Int, workerTimeout: Int = 43200,
        _ body: (_ number: Int, _ creation: Double) async throws -> Void
    ) async throws {
        let draft = BenchDispatcher.draft(files, workerTimeout: workerTimeout)
        var number = 0
        let creation = try await seconds { number = try await dispatcher.create(draft) }
        do {
            try await body(number, creation)
        } catch {
            do { try await dispatcher.delete(number) } catch let second {
                throw CommandFailure(message: "\(error); project \(number) is left behind: \(second)")
            }
            throw error
        }
        try await dispatcher.delete(number)
    }

    private func measure(_ dispatcher: BenchDispatcher, _ files: Int, _ report: inout BenchReport) async throws {
        let crews = workers > 0 ? [1, workers] : [1]
        // A project is worked on until it is used up, then the next one is.
        let perProject = min(cycles, files)
        var left = crews.flatMap { crew in (0..<max(1, bench.runs)).map { _ in (crew: crew, cycles: cycles) } }
        var open: [(crew: Int, times: [(next: Double, release: Double)], elapsed: Double)] = left.map {
            ($0.crew, [], 0)
        }
        var place = 0
        while place < left.count {
            bench.options.output.say("\(files) files: run \(place + 1) of \(left.count)")
            try await withProject(dispatcher, files) { number, creation in
                report.add("\(files) files: creation", creation, unit: "s")
                var rest = files
                while place < left.count, rest > 0 {
                    let share = min(left[place].cycles, rest, perProject)
                    let (times, elapsed) = try await cycles(dispatcher, number, share, left[place].crew)
                    open[place].times += times
                    open[place].elapsed += elapsed
                    rest -= share
                    left[place].cycles -= share
                    if left[place].cycles == 0 { place += 1 }
                }
            }
        }
        for run in open { add(run.times, run.elapsed, "\(files) files, \(run.crew) at once", &report) }
    }

    private func cycles(
        _ dispatcher: BenchDispatcher, _ number: Int, _ count: Int, _ crew: Int
    ) async throws -> (times: [(next: Double, release: Double)], elapsed: Double) {
        var times: [(next: Double, release: Double)] = []
        let elapsed = try await seconds {
            times = try await withThrowingTaskGroup(of: [(next: Double, release: Double)].self) { group in
                for worker in 0..<crew {
                    let share = count / crew + (worker < count % crew ? 1 : 0)
                    group.addTask { try await dispatcher.cycles(share, of: number, worker: "bench_\(worker)") }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
        }
        return (times, elapsed)
    }

    private func add(
        _ times: [(next: Double, release: Double)], _ elapsed: Double, _ name: String, _ report: inout BenchReport
    ) {
        report.add("\(name): reserve + release", Double(times.count) / elapsed, unit: "files/s")
        for (part, values) in [("reserve", times.map(\.next)), ("release", times.map(\.release))] {
            let sorted = values.sorted()
            for (share, word) in [(0.5, "p50"), (0.95, "p95")] {
                let place = min(sorted.count - 1, Int(Double(sorted.count) * share))
                report.add("\(name): \(part) \(word)", sorted[place] * 1000, unit: "ms")
            }
        }
    }

    /// How much later than its time-out a file is given to who waits for it, while many others are reserved.
    private func measureTimeout(_ dispatcher: BenchDispatcher, _ report: inout BenchReport) async throws {
        try await withProject(dispatcher, reserved) { number, _ in
            bench.options.output.say("reserving \(reserved) files")
            let crew = max(1, workers)
            let (reserved, clock) = (reserved, ContinuousClock())
            let elapsed = try await seconds {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for worker in 0..<crew {
                        group.addTask {
                            for _ in 0..<(reserved / crew + (worker < reserved % crew ? 1 : 0)) {
                                _ = try await dispatcher.next(number, worker: "bench_\(worker)")
                            }
                        }
                    }
                    try await group.waitForAll()
                }
            }
            report.add("\(reserved) files, \(crew) at once: reserve", Double(reserved) / elapsed, unit: "files/s")
            try await bench.eachRun { _ in
                let timeout = 2
                try await withProject(dispatcher, 1, workerTimeout: timeout) { number, _ in
                    let before = clock.now
                    guard try await dispatcher.next(number, worker: "vanishes") != nil,
                        try await dispatcher.next(number, worker: "waits", wait: 60) != nil
                    else { throw CommandFailure(message: "the file was not timed out within a minute") }
                    let late = (clock.now - before) / .seconds(1) - Double(timeout)
                    report.add("\(reserved) reserved: a time-out is late by", late, unit: "s")
                }
            }
        }
    }
}
