import CSpawn
import Foundation
import Synchronization

/// A child process in a session of its own, with clean signals, and with no descriptor but those it is given.
///
/// Foundation's `Process` hands its thread's signal mask on, and threads of a pool block signals: a shell would then wait
/// for ever for its own children. And to find what the child must not have it reads 256 bytes of each name in
/// `/proc/self/fd`, beyond the end of what `readdir` gave it: with more than 1,300 open descriptors that is where the
/// process ends (Swift 6.3).
package final class ChildProcess: Sendable {
    package let pid: pid_t
    private let ending: Ending

    /// The exit status, once there is one, and who waits for it.
    private final class Ending: Sendable {
        /// Protects the process number against its reuse while a signal is on the way, and who waits.
        private let state = Mutex<(status: Int32?, waiting: [CheckedContinuation<Int32, Never>])>((nil, []))

        /// Waits for the end of the process, on the calling thread.
        func follow(_ pid: pid_t) {
            var information = siginfo_t()
            while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
            let (status, waiting) = state.withLock { state in
                var status: Int32 = 0
                while waitpid(pid, &status, 0) < 0, errno == EINTR {}
                let signal = status & 0x7F
                let code = signal == 0 ? (status >> 8) & 0xFF : 128 + signal
                state.status = code
                defer { state.waiting = [] }
                return (code, state.waiting)
            }
            for continuation in waiting { continuation.resume(returning: status) }
        }

        var status: Int32? { state.withLock(\.status) }

        func signal(_ pid: pid_t, _ number: Int32) {
            state.withLock { if $0.status == nil { kill(pid, number) } }
        }

        func wait() async -> Int32 {
            await withCheckedContinuation { continuation in
                let status = state.withLock { state -> Int32? in
                    if state.status == nil { state.waiting.append(continuation) }
                    return state.status
                }
                if let status { continuation.resume(returning: status) }
            }
        }
    }

    /// Starts a program on these descriptors, which stay the caller's.
    ///
    /// - Parameter environment: `nil` for the tests' own.
    package init(
        _ program: String, _ arguments: [String], environment: [String: String]? = nil, folder: String = ".",
        input: Int32, output: Int32, errors: Int32
    ) throws {
        let variables = environment ?? ProcessInfo.processInfo.environment
        let strings = ([program] + arguments).map { strdup($0) } + [nil]
        let values = variables.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (strings + values).forEach { free($0) } }
        var child: pid_t = 0
        let result = tokenpool_spawn(&child, program, strings, values, folder, input, output, errors)
        guard result == 0 else {
            throw TestServerError(description: "can not run \(program): \(String(cString: strerror(result)))")
        }
        let ending = Ending()
        pid = child
        self.ending = ending
        Thread.detachNewThread { [child] in ending.follow(child) }
    }

    package var hasEnded: Bool { ending.status != nil }

    /// Sends a signal unless it has ended.
    package func signal(_ number: Int32) { ending.signal(pid, number) }

    /// Waits until it has ended; answers the exit status, or 128 and the signal that ended it, as a shell does.
    package func end() async -> Int32 { await ending.wait() }
}

/// A child process to whose words the tests listen.
final class AudibleProcess: Sendable {
    private let process: ChildProcess
    /// Reads what the child writes to the stream that was asked for.
    let output: FileHandle
    /// The other end of the child's standard input; the child sees its end when this closes.
    let input: FileHandle

    enum Stream { case output, errors }

    /// Starts a program and listens to one of its streams; the other one stays the tests' own.
    init(_ program: String, _ arguments: [String], listeningTo stream: Stream) throws {
        var toChild: [Int32] = [0, 0]
        var fromChild: [Int32] = [0, 0]
        guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else {
            throw TestServerError(description: "no pipe: \(String(cString: strerror(errno)))")
        }
        for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        input = FileHandle(fileDescriptor: toChild[1], closeOnDealloc: true)
        output = FileHandle(fileDescriptor: fromChild[0], closeOnDealloc: true)
        defer {
            close(toChild[0])
            close(fromChild[1])
        }
        process = try ChildProcess(
            program, arguments, input: toChild[0], output: stream == .output ? fromChild[1] : 1,
            errors: stream == .errors ? fromChild[1] : 2)
    }

    /// Waits until it has ended; answers the exit status, or 128 and the signal that ended it, as a shell does.
    func end() async -> Int32 { await process.end() }
}
