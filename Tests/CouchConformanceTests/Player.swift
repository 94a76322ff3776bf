import CouchDocument
import Foundation

/// Plays one scenario against a server and gathers what differs from the recording.
struct Player {
    struct Failure: CustomStringConvertible, Sendable {
        let step: Int
        let title: String
        let differences: [String]

        var description: String {
            "step \(step), \(title)\n" + differences.prefix(12).map { "    \($0)" }.joined(separator: "\n")
        }
    }

    private let scenario: Scenario
    private var variables: Variables
    private let connection: RawConnection
    private var running: [String: (task: Task<RawAnswer, any Error>, step: Step)] = [:]

    init(_ scenario: Scenario, url: String) throws {
        self.scenario = scenario
        variables = try Variables(url: url)
        connection = RawConnection(host: variables.host, port: variables.port)
    }

    /// Plays setup, steps and cleanup.
    mutating func play() async -> [Failure] {
        var failures: [Failure] = []
        for step in scenario.setup {
            let differences = await play(step)
            if !differences.isEmpty {
                failures.append(Failure(step: 0, title: "setup: \(step.title)", differences: differences))
                await clean()
                return failures
            }
        }
        for (index, step) in scenario.steps.enumerated() {
            let differences = await play(step)
            if !differences.isEmpty {
                failures.append(Failure(step: index + 1, title: step.title, differences: differences))
            }
        }
        await clean()
        return failures
    }

    private mutating func play(_ step: Step) async -> [String] {
        do {
            // The recordings say how long: some things CouchDB does a moment later.
            if let pause = step.members["pause"]?.numberValue { try await Task.sleep(for: .seconds(pause)) }
            if let name = step.members["await"]?.stringValue { return try await collect(name, step) }
            if let name = step.members["async"]?.stringValue {
                try await start(step, name)
                return []
            }
            let deadline = ContinuousClock.now + .seconds(step.members["until"]?.numberValue ?? 0)
            while true {
                let answer = try await connection.send(try step.request(variables))
                var comparison = Comparison(variables)
                comparison.answer(step.expectation, answer, method: step.method)
                variables = comparison.variables
                if comparison.differences.isEmpty || ContinuousClock.now > deadline { return comparison.differences }
                try await Task.sleep(for: .milliseconds(100))
            }
        } catch {
            return ["request: \(error)"]
        }
    }

    /// Sends a request whose answer a later step looks at; goes on when its headers are there, after a second at most.
    private mutating func start(_ step: Step, _ name: String) async throws {
        let request = try step.request(variables)
        let other = RawConnection(host: variables.host, port: variables.port)
        let (signals, source) = AsyncStream<Void>.makeStream()
        let task = Task {
            defer { source.finish() }
            return try await other.send(request) { source.finish() }
        }
        let patience = Task {
            try await Task.sleep(for: .seconds(1))
            source.finish()
        }
        for await _ in signals {}
        patience.cancel()
        running[name] = (task, step)
    }

    private mutating func collect(_ name: String, _ expected: Step) async throws -> [String] {
        guard let (task, started) = running.removeValue(forKey: name) else { return ["no request named \(name) runs"] }
        let answer = try await task.value
        var comparison = Comparison(variables)
        comparison.answer(expected.expectation, answer, method: started.method)
        variables = comparison.variables
        return comparison.differences
    }

    /// Leaves the server as it was; what can not be deleted was never made.
    private func clean() async {
        for path in scenario.cleanup {
            let get = Step(["method": "GET", "path": .string(path)])
            guard let request = try? get.request(variables), let answer = try? await connection.send(request),
                answer.status == 200, let revision = try? JSON(parsing: answer.body)["_rev"]?.stringValue
            else { continue }
            var delete = request
            delete.method = "DELETE"
            delete.target += "?rev=\(revision)"
            _ = try? await connection.send(delete)
        }
        for name in variables.databases.values {
            let delete = Step(["method": "DELETE", "path": .string("/\(name)")])
            if let request = try? delete.request(variables) { _ = try? await connection.send(request) }
        }
    }
}
