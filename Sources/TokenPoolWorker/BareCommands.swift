import Glibc
import TokenPool

/// A command that is run again and again, with no pool and no files around it: what pilots are measured against.
package struct BareCommands: Sendable {
    /// The program with its path, and its arguments.
    package var arguments: [String]
    /// `NAME=value` each.
    package var environment: [String]

    /// A command in an environment.
    package init(_ arguments: [String], environment: [String: String]) {
        self.arguments = arguments
        self.environment = environment.map { "\($0.key)=\($0.value)" }
    }

    /// Runs it so often in each of so many slots at once, and answers how long that took.
    package func run(_ count: Int, slots: Int) async throws -> Duration {
        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard null >= 0 else { throw FileFailure("opening", "/dev/null") }
        defer { close(null) }
        let spec = ChildSpec(
            arguments: arguments, environment: environment, folder: "/", output: null, errors: null)
        let threads = BlockingThreads()
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<slots {
                group.addTask {
                    try await threads.run {
                        for _ in 0..<count { _ = try ChildProcess().run(spec) }
                    }
                }
            }
            try await group.waitForAll()
        }
        return ContinuousClock.now - start
    }
}
