import Foundation

/// A child process with clean signals: whatever the thread that starts it blocks or ignores, the child does not.
///
/// Foundation's `Process` hands its thread's signal mask on, and threads of a pool block signals: a shell would then
/// wait for ever for its own children.
final class ChildProcess: Sendable {
    let pid: pid_t
    /// Reads what the child writes to the stream that was asked for.
    let output: FileHandle
    /// The other end of the child's standard input; the child sees its end when this closes.
    let input: FileHandle

    enum Stream: Int32 { case output = 1, errors = 2 }

    /// Starts a program and listens to one of its streams; the other one stays the tests' own.
    init(_ program: String, _ arguments: [String], listeningTo stream: Stream) throws {
        var toChild: [Int32] = [0, 0]
        var fromChild: [Int32] = [0, 0]
        guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else {
            throw TestServerError(description: "no pipe: \(String(cString: strerror(errno)))")
        }
        // Other children must not hold these: an open input keeps a server alive.
        for end in toChild + fromChild { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], stream.rawValue)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
        let variables = ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" }
        var strings = ([program] + arguments).map { strdup($0) } + [nil]
        var environment = variables.map { strdup($0) } + [nil]
        defer {
            (strings + environment).forEach { free($0) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            close(toChild[0])
            close(fromChild[1])
        }
        var child: pid_t = 0
        let result = posix_spawn(&child, program, &actions, &attributes, &strings, &environment)
        pid = child
        input = FileHandle(fileDescriptor: toChild[1], closeOnDealloc: true)
        output = FileHandle(fileDescriptor: fromChild[0], closeOnDealloc: true)
        if result != 0 {
            throw TestServerError(description: "can not run \(program): \(String(cString: strerror(result)))")
        }
    }

    /// Waits until it has ended; answers the exit status, or 128 and the signal that ended it, as a shell does.
    func end() async -> Int32 {
        let pid = pid
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                var status: Int32 = 0
                while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
                let signal = status & 0x7F
                continuation.resume(returning: signal == 0 ? (status >> 8) & 0xFF : 128 + signal)
            }
        }
    }
}
