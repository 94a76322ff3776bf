import CouchDB
import CouchDocument
import Foundation

/// What was measured, with all that is needed to measure it again.
struct BenchReport {
    let name: String
    let settings: [(name: String, value: String)]
    var series: [Series] = []

    /// One figure, taken in several runs.
    struct Series {
        let name: String
        let unit: String
        var values: [Double] = []

        var median: Double {
            let sorted = values.sorted()
            guard !sorted.isEmpty else { return 0 }
            let middle = sorted.count / 2
            return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
        }
    }

    /// Adds the figure of one run.
    mutating func add(_ name: String, _ value: Double, unit: String) {
        if let index = series.firstIndex(where: { $0.name == name }) {
            series[index].values.append(value)
        } else {
            series.append(Series(name: name, unit: unit, values: [value]))
        }
    }

    func print(to output: Output, server: ServerInfo) {
        if output.style == .json {
            output.line(json(server: server).description)
            return
        }
        output.line("tokenpool \(ProductVersion.text) bench \(name)")
        output.line("machine   \(Machine.description)")
        output.line("server    \(server.summary)")
        output.line("settings  " + settings.map { "\($0.name)=\($0.value)" }.joined(separator: " "))
        output.table(
            ["figure", "median", "min", "max", "runs"],
            series.map { series in
                [
                    "\(series.name) (\(series.unit))", Self.text(series.median), Self.text(series.values.min() ?? 0),
                    Self.text(series.values.max() ?? 0), String(series.values.count),
                ]
            })
    }

    private func json(server: ServerInfo) -> JSON {
        [
            "bench": .string(name), "version": .string(ProductVersion.text), "machine": .string(Machine.description),
            "server": .string(server.summary),
            "settings": .object(JSONObject(settings.map { ($0.name, JSON.string($0.value)) })),
            "figures": .array(
                series.map { series in
                    [
                        "name": .string(series.name), "unit": .string(series.unit),
                        "median": .double(series.median) ?? .null,
                        "values": .array(series.values.map { .double($0) ?? .null }),
                    ]
                }),
        ]
    }

    private static func text(_ value: Double) -> String {
        value >= 100 ? String(Int(value.rounded())) : String(format: "%.2f", value)
    }
}

/// The machine that measures, in a line.
enum Machine {
    static var description: String {
        let information = ProcessInfo.processInfo
        let model =
            (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8))?
            .split(separator: "\n").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
        let memory = information.physicalMemory / (1 << 30)
        return "\(information.activeProcessorCount) cores, \(model ?? "unknown processor"), \(memory) GiB, "
            + information.operatingSystemVersionString
    }
}

/// A database for one measurement.
enum BenchDatabase {
    /// Makes a fresh database, runs the body and deletes the database, also when the body throws.
    static func with<Result>(_ server: Server, _ body: (Database) async throws -> Result) async throws -> Result {
        let name = "tokenpool_bench_" + String(UInt64.random(in: .min ... .max), radix: 36)
        let database = try await server.createDatabase(name)
        let result: Result
        do {
            result = try await body(database)
        } catch {
            do {
                try await server.deleteDatabase(name)
            } catch let second {
                throw CommandFailure(message: "\(error); the database \(name) is left behind: \(second)")
            }
            throw error
        }
        try await server.deleteDatabase(name)
        return result
    }
}

/// Seconds that a body takes.
func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let elapsed = try await ContinuousClock().measure(body)
    return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
}

/// The median time of `count` requests one after the other, in milliseconds.
func median(of count: Int, _ request: (Int) async throws -> Void) async throws -> Double {
    var times: [Double] = []
    for number in 0..<max(1, count) { times.append(try await seconds { try await request(number) }) }
    return median(times) * 1000
}

func median(_ values: [Double]) -> Double { BenchReport.Series(name: "", unit: "", values: values).median }
