import CouchDocument

/// Changes of a token that is any object, as PiCaS' `BasicTokenModifier` makes them.
///
/// For tokens that are no documents of their own; see ``NestedTokenPath``. A token that is a document is better claimed by
/// ``Pool/claim(_:from:as:lease:order:)``, which gives it a lease.
public struct TokenModifier: Sendable {
    /// Whose name and batch job are written.
    public let worker: WorkerIdentity
    /// What tells the time of locks and ends.
    public let clock: any PoolClock

    /// A modifier for that worker.
    public init(worker: WorkerIdentity, clock: any PoolClock = SystemClock()) {
        self.worker = worker
        self.clock = clock
    }

    /// PiCaS' `TokenGenerator.get_empty_token`: the fields that an object needs to be a token.
    public static let emptyToken: JSONObject = [
        "lock": 0, "done": 0, "hostname": "", "scrub_count": 0, "type": "token",
    ]

    /// Takes the token: lock, hostname and the batch job's id.
    ///
    /// - Returns: `false` when it is not free, and then it is left as it is; PiCaS would take it from its holder.
    public func lock(_ token: inout JSONObject) -> Bool {
        guard TokenState(lock: token["lock"], done: token["done"], exitCode: nil) == .todo else { return false }
        token["lock"] = .integer(clock.now().seconds)
        token["hostname"] = .string(worker.hostname)
        if let job = worker.job { token[job.field] = job.value }
        return true
    }

    /// Gives the token back. No machine's name stays, for none has it.
    public func unlock(_ token: inout JSONObject) {
        token["lock"] = 0
        token["hostname"] = ""
        forgetJob(&token)
    }

    /// Ends the token: `done` is now.
    public func close(_ token: inout JSONObject) { token["done"] = .integer(clock.now().seconds) }

    /// Takes the end back.
    public func unclose(_ token: inout JSONObject) {
        token["done"] = 0
        forgetJob(&token)
    }

    /// Writes members over those of the same name.
    public func addOutput(_ output: JSONObject, to token: inout JSONObject) { token.merge(output) }

    /// Puts the token back to todo and counts it. With the end and the exit code of the try: PiCaS leaves both, and then
    /// the token is in no view.
    public func scrub(_ token: inout JSONObject) {
        token["scrub_count"] = .integer((token["scrub_count"]?.intValue ?? 0) + 1)
        unlock(&token)
        token["done"] = 0
        if token["exit_code"] != nil { token["exit_code"] = "" }
    }

    /// Gives the token up: 99/99.
    public func setError(_ token: inout JSONObject) {
        token["lock"] = .integer(TokenState.picasErrorMark)
        token["done"] = .integer(TokenState.picasErrorMark)
    }

    private func forgetJob(_ token: inout JSONObject) {
        for field in WorkerIdentity.JobIdentifier.fields { token[field] = nil }
    }
}
