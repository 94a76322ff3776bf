/// A program's own work on tokens, as PiCaS' actors have it: hooks around the work on each token and around all of them.
///
/// ``ActorRun`` calls them one after the other, never two at once. Only ``process(_:)`` must be there.
public protocol TokenActor: Sendable {
    /// Before the first token (PiCaS' `prepare_env`).
    func prepareEnvironment() async throws
    /// Before each token (`prepare_run`).
    func prepareRun(_ token: Token) async throws
    /// Works on a token (`process_task`). What it changes in the token is written: fields, `output`, `exit_code`, attached
    /// files. Without an exit code the token is done; with one other than 0, or an error thrown, it failed.
    ///
    /// When the task is cancelled, the time is up, the lease is lost or the run ends: stop, and throw.
    func process(_ token: inout Token) async throws
    /// After each token, whatever became of it (`cleanup_run`).
    func cleanUpRun(_ token: Token) async
    /// After the last token, whatever ended the run (`cleanup_env`).
    func cleanUpEnvironment() async
}

extension TokenActor {
    /// Nothing.
    public func prepareEnvironment() async throws {}
    /// Nothing.
    public func prepareRun(_ token: Token) async throws {}
    /// Nothing.
    public func cleanUpRun(_ token: Token) async {}
    /// Nothing.
    public func cleanUpEnvironment() async {}
}

/// What becomes of a token whose work was ended by a signal, as PiCaS' `token_reset_values` says.
public enum HandBack: Hashable, Sendable {
    /// Back to todo: `[0, 0]`.
    case todo
    /// These values of `lock` and `done`; `nil` leaves one as it is. The lease is given up, so what stays locked stays so
    /// until a person resets it, or janitors do as the pool's settings say.
    case values(lock: Int?, done: Int?)

    /// Locked, for a person to look at: PiCaS' `None`.
    public static let leave = HandBack.values(lock: nil, done: nil)
    /// Given up: `[99, 99]`.
    public static let error = HandBack.values(lock: TokenState.picasErrorMark, done: TokenState.picasErrorMark)
}

/// When an ``ActorRun`` ends, and how it treats tokens; PiCaS' arguments of `RunActor.run`.
public struct ActorLimits: Sendable {
    /// What becomes of the token in work when the run is cancelled.
    public typealias OnCancel = HandBack

    /// How long a token may take (`max_token_time`); `nil` any time.
    public var tokenTime: Duration?
    /// How long tokens are taken (`max_total_time`); `nil` without end.
    public var totalTime: Duration?
    /// How many tokens are taken (`max_tasks`); `nil` any number.
    public var tokens: Int?
    /// How often a token that failed is put back, when it does not say itself (`max_scrub`).
    public var scrubs = 0
    /// Asked before each token; `true` ends the run (`stop_function`).
    public var stop: @Sendable () async -> Bool = { false }
    /// How long to wait before looking again into an empty pool; `nil` ends the run then (`EndlessViewIterator`).
    public var wait: Duration?
    /// What becomes of the token in work when the run is cancelled.
    public var onCancel = OnCancel.todo
    /// How long a token stays locked when the program vanishes; renewed at a third of it.
    public var lease = Duration.seconds(300)

    /// PiCaS' defaults: no limits, no second try, the end of the pool is the end.
    public init() {}
}

/// Why the work on a token was stopped from outside.
public enum ActorInterruption: Error, Hashable, CustomStringConvertible {
    /// It took longer than it may.
    case timeLimit
    /// Somebody else has the token now.
    case leaseLost

    /// In words.
    public var description: String {
        switch self {
        case .timeLimit: "the time limit is over"
        case .leaseLost: "the lease is lost"
        }
    }
}
