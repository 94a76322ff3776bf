import ArgumentParser
import CouchDocument
import Foundation
import TokenPool

struct SimulateBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "What happens when very many pilots claim at once, computed, without a server.",
        discussion: """
            Simulates a cluster and its pilots, who choose with the product's own code, for each number of pilots and each \
            way of choosing: ordered (the first rows of the view), random (any of its first rows) and sharded (from a place \
            of each claim's own on). Prints how many lock writes were lost to others and how many tokens were claimed a \
            second. The same settings give the same figures.
            """)

    @OptionGroup var options: GlobalOptions

    @Option(help: "Numbers of pilots, of one slot each, separated by commas.")
    var pilots = "10,100,1000,10000,100000"

    @Option(help: "How long a command takes on average, in seconds.")
    var run = 10.0

    @Option(help: "Tokens in the pool at the beginning.")
    var tokens = 1_000_000

    @Option(help: "Nodes of the cluster, of two cores each.")
    var nodes = 3

    @Option(help: "After how many seconds a node hears of another one's writes.")
    var lag = 0.1

    @Option(help: "The way to a server and back, in seconds.")
    var roundTrip = 0.02

    @Option(help: "Simulated seconds that are counted; as long as a command takes passes before.")
    var seconds = 20.0

    @Option(help: "The seed of all randomness.")
    var seed: UInt64 = 1

    @Option(help: "Write the curves as SVG into this folder.", completion: .directory)
    var svg: String?

    private static let orders: [(name: String, order: ClaimOrder)] = [
        ("ordered", .asViewed), ("random", .shuffled), ("sharded", .sharded),
    ]

    private struct Point: Sendable {
        let name: String
        let pilots: Int
        let outcome: ClaimSimulation.Outcome
        let elapsed: Double
    }

    func validate() throws {
        guard numbers != nil else { throw ValidationError("--pilots: numbers from 1 to 1000000, separated by commas") }
        guard (1...100).contains(nodes), tokens > 0, tokens < Int(Int32.max) else {
            throw ValidationError("--nodes must be between 1 and 100, --tokens between 1 and 2147483646")
        }
        guard run >= 0, lag >= 0, roundTrip >= 0, seconds > 0 else {
            throw ValidationError("times can not be negative")
        }
    }

    private var numbers: [Int]? {
        let numbers = pilots.split(separator: ",").map { Int($0.trimmingCharacters(in: .whitespaces)) ?? 0 }
        return numbers.isEmpty || !numbers.allSatisfy((1...1_000_000).contains) ? nil : numbers
    }

    func run() async throws {
        var points: [Point] = []
        for count in numbers ?? [] {
            // One after the other: each takes memory for all of its pilots.
            for (name, order) in Self.orders {
                var settings = ClaimSimulation.Settings()
                settings.pilots = count
                settings.order = order
                settings.tokens = tokens
                settings.run = run
                settings.nodes = nodes
                settings.lag = lag
                settings.roundTrip = roundTrip
                settings.warmUp = max(run, 1)
                settings.duration = seconds
                settings.seed = seed
                var simulation = ClaimSimulation(settings)
                let begin = Date()
                let outcome = simulation.run()
                points.append(
                    Point(name: name, pilots: count, outcome: outcome, elapsed: Date().timeIntervalSince(begin)))
                options.output.say("\(count) pilots, \(name): \(String(format: "%.1f", -begin.timeIntervalSinceNow)) s")
            }
        }
        report(points)
        if let svg { try draw(points, into: svg) }
    }

    private func report(_ points: [Point]) {
        let rows = points.map { point in
            [
                String(point.pilots), point.name, String(format: "%.3f", point.outcome.conflictRate * 100),
                String(format: "%.1f", point.outcome.rate), String(point.outcome.reads),
                String(format: "%.1f", point.elapsed),
            ]
        }
        options.output.table(
            ["pilots", "choice", "conflicts %", "claims/s", "reads", "computed in s"], rows,
            json: points.map { point in
                [
                    "pilots": .integer(point.pilots), "choice": .string(point.name),
                    "conflict_rate": .double(point.outcome.conflictRate) ?? .null,
                    "claims_per_second": .double(point.outcome.rate) ?? .null,
                    "claims": .integer(point.outcome.claims), "conflicts": .integer(point.outcome.conflicts),
                    "reads": .integer(point.outcome.reads), "stale_rows": .integer(point.outcome.staleRows),
                ]
            })
    }

    private func draw(_ points: [Point], into folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        func lines(_ value: (ClaimSimulation.Outcome) -> Double) -> [LineChart.Line] {
            Self.orders.map { order in
                LineChart.Line(
                    name: order.name,
                    points: points.filter { $0.name == order.name }.map { (Double($0.pilots), value($0.outcome)) })
            }
        }
        let charts = [
            "claim-conflicts": LineChart(
                title: "Lock writes that were lost to others", horizontal: "pilots",
                vertical: "lost writes (% of all)", lines: lines { $0.conflictRate * 100 }, floor: 0.01),
            "claim-rate": LineChart(
                title: "Tokens claimed", horizontal: "pilots", vertical: "claims (1/s)", lines: lines(\.rate),
                floor: 0.1),
        ]
        for (name, chart) in charts {
            let path = folder + "/\(name).svg"
            try Data(chart.svg.utf8).write(to: URL(fileURLWithPath: path))
            options.output.say("wrote \(path)")
        }
    }
}
