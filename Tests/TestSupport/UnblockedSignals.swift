import Foundation

/// Starts a process with no signal blocked.
///
/// The threads on which tasks run block all signals, and a child inherits that: a shell would wait for ever for a child
/// of its own that has ended, and no program would hear SIGTERM.
public func withoutBlockedSignals<Result>(_ body: () throws -> Result) rethrows -> Result {
    var none = sigset_t()
    var before = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
}
