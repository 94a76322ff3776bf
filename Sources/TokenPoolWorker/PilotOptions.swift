public import TokenPool

/// How a pilot works.
public struct PilotOptions: Sendable {
    /// How many tokens run at once.
    public var slots = 1
    /// What tokens may require of this machine; `nil`: as many cores as slots, and any memory. Only what ``source`` takes
    /// from queues is matched against it, and what runs counts against it.
    public var offer: Offer?
    /// Where tokens come from.
    public var source = ClaimSource.view(.picasTodo)
    /// How long a token stays locked when the pilot is not heard of; renewed at a third of it.
    public var lease = Duration.seconds(300)
    /// When no more tokens are taken.
    public var condition = StopCondition()
    /// Where the work folders are made.
    public var workDirectory: String
    /// Whether work folders stay when their tokens are done.
    public var keepsFolders = false
    /// The time between TERM and KILL, and how long a pilot that was told to stop tries to reach a server that does not
    /// answer, for each result.
    public var grace = Duration.seconds(10)
    /// What becomes of the tokens whose commands are ended because the pilot is told to stop.
    public var onStop = HandBack.todo
    /// For tokens that set no time limit; `nil` none.
    public var timeLimit: Duration?
    /// How many bytes of each log are kept, for tokens that do not say.
    public var logLimit = 4 << 20
    /// Files up to this size travel in the request that writes the result; larger ones before it.
    public var inlineLimit = 64 << 10
    /// What runs for tokens without a command: program and arguments, with `{templates}`.
    public var command: [String] = []
    /// The environment that commands inherit.
    public var environment: [String: String]
    /// Where unpacked sandboxes are kept for the next token that needs them, by any pilot of this machine. `nil` takes
    /// `TOKENPOOL_CACHE` of ``environment``, else `tokenpool` in its `XDG_CACHE_HOME`, else `.cache/tokenpool` in its `HOME`.
    public var sandboxDirectory: String?
    /// How long a pilot keeps trying when the server is not heard of, from its start or from when it last was.
    public var patience = Duration.seconds(3600)

    /// The usual settings, with the folder to work in and the environment to hand on.
    public init(workDirectory: String, environment: [String: String]) {
        self.workDirectory = workDirectory
        self.environment = environment
    }
}

/// What a pilot tells about its work.
public enum PilotNews: Sendable {
    /// These tokens are held now.
    case claimed([String])
    /// A token's command starts, under that lease.
    case started(token: String, lease: String)
    /// A token's try is over and written; whether the token goes back to the pool.
    case ended(token: String, outcome: Attempt.Outcome, exitCode: Int?, time: Duration, retries: Bool)
    /// Somebody else moved a token on; whether its result was kept as attachment `attempt-<lease>.json`.
    case superseded(token: String, lease: String, kept: Bool)
    /// A token was handed back unfinished.
    case released(token: String)
    /// A sweep brought tokens back.
    case swept(SweepReport)
    /// The pool is empty; the pilot waits.
    case waiting
    /// Something went wrong that the pilot goes on after.
    case trouble(String)
}

/// A pilot ended and could not hand these tokens back: they stay locked until their leases end.
public struct TokensLeft: Error, CustomStringConvertible {
    /// Their ids, sorted.
    public let tokens: [String]
    /// When the last of the leases ends.
    public let until: Timestamp
    /// What kept the pilot from it, if it is known.
    public let cause: (any Error)?

    init(_ claims: [ClaimedToken], cause: (any Error)?) {
        tokens = claims.map(\.token.id).sorted()
        until = claims.map(\.lease.until).max() ?? Timestamp(seconds: 0)
        self.cause = cause
    }

    /// One line for people: how many, which, and since when others may take them.
    public var description: String {
        let shown = tokens.prefix(10).map { "\"\($0)\"" }.joined(separator: ", ")
        let rest = tokens.count > 10 ? " and \(tokens.count - 10) more" : ""
        let what =
            tokens.count == 1 ? "1 token is left to its lease" : "\(tokens.count) tokens are left to their leases"
        return "\(what), which ends at second \(until.seconds) at the latest: \(shown)\(rest)"
            + (cause.map { " (\($0))" } ?? "")
    }
}
