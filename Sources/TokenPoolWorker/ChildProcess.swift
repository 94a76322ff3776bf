import CSpawn
import Glibc
import Sandboxes
import Synchronization

/// What to start: a program, its arguments and surroundings.
struct ChildSpec: Sendable {
    /// The program, looked up in `PATH` when it has no slash, and its arguments.
    var arguments: [String]
    /// `NAME=value` each.
    var environment: [String]
    /// The folder to start in.
    var folder: String
    /// Descriptors for standard output and standard error.
    var output: Int32
    var errors: Int32
}

/// How a process ended.
struct ChildExit: Hashable, Sendable {
    /// The exit code; the negative number of the signal that ended it, as Python's `subprocess` and so PiCaS has it.
    var code: Int
}

/// A program that could not be started.
struct SpawnError: Error, CustomStringConvertible {
    let program: String
    let number: Int32
    var description: String { "starting \(program): \(String(cString: strerror(number)))" }
    /// What a shell answers in that case.
    var exitCode: Int { number == ENOENT ? 127 : 126 }
}

/// A process in a session of its own, so that it and all it starts can be ended together.
///
/// One thread starts it and waits for it; any may signal it. The process number is not given back to the system before
/// `isReaped` is set under the lock, so a signal never reaches somebody else's process.
final class ChildProcess: Sendable {
    private struct State {
        var pid: pid_t?
        var isReaped = false
        /// Sent before there was a process to send it to.
        var earlySignal: Int32?
    }
    // Protects the process number against its reuse while a signal is on the way.
    private let state = Mutex(State())

    /// Starts the program and waits until it ends. What it left running in its process group is ended with it.
    ///
    /// Blocks the calling thread.
    func run(_ spec: ChildSpec) throws(SpawnError) -> ChildExit {
        try start(spec)
        return wait()
    }

    /// Starts the program, unless a signal came before.
    func start(_ spec: ChildSpec) throws(SpawnError) {
        if state.withLock({ $0.earlySignal }) != nil { return }
        let pid = try Self.spawn(spec)
        let early = state.withLock { state in
            state.pid = pid
            return state.earlySignal
        }
        if let early { signal(early) }
    }

    /// Waits until what ``start(_:)`` started has ended; what it left running in its process group is ended with it.
    ///
    /// Blocks the calling thread.
    func wait() -> ChildExit {
        guard let pid = state.withLock({ $0.pid }) else { return ChildExit(code: -Int(SIGTERM)) }
        var information = siginfo_t()
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        return state.withLock { state in
            kill(-pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            state.isReaped = true
            let signal = status & 0x7F
            return ChildExit(code: signal == 0 ? Int((status >> 8) & 0xFF) : -Int(signal))
        }
    }

    /// Sends a signal to the whole group; one that was not started yet will not run at all.
    ///
    /// KILL goes to the whole session, to reach groups that a shell with job control made.
    func signal(_ number: Int32) {
        state.withLock { state in
            guard let pid = state.pid else {
                state.earlySignal = number
                return
            }
            guard !state.isReaped else { return }
            kill(-pid, number)
            guard number == SIGKILL else { return }
            for member in Self.members(ofSession: pid) where member != pid { kill(member, SIGKILL) }
        }
    }

    private static func spawn(_ spec: ChildSpec) throws(SpawnError) -> pid_t {
        let program = spec.arguments.first ?? ""
        var pid: pid_t = 0
        let number = withCStrings(spec.arguments) { arguments in
            withCStrings(spec.environment) { environment in
                SpawnGate.starting {
                    tokenpool_spawn(&pid, program, arguments, environment, spec.folder, -1, spec.output, spec.errors)
                }
            }
        }
        guard number == 0 else { throw SpawnError(program: program, number: number) }
        return pid
    }

    private static func withCStrings<Result>(
        _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        let pointers = strings.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeBufferPointer { body($0.baseAddress.unsafelyUnwrapped) }
    }

    /// The processes of a session, from `/proc`.
    private static func members(ofSession session: pid_t) -> [pid_t] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var members: [pid_t] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = pid_t(name), getsid(pid) == session { members.append(pid) }
        }
        return members
    }
}
