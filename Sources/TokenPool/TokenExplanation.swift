import CouchDocument

/// Why a token is in its state, in words.
public struct TokenExplanation: Hashable, Sendable {
    /// The state in a sentence.
    public let summary: String
    /// What else there is to know, a sentence each.
    public let details: [String]

    /// Explains a token as it stands at that moment.
    ///
    /// - Parameters:
    ///   - notes: What is known of others that has to do with it; see ``Pool/explain(_:date:)``.
    ///   - date: Writes moments for people.
    public init(of token: Token, now: Timestamp, notes: [String] = [], date: (Timestamp) -> String) {
        let pool = token.pool
        func moment(_ time: Timestamp) -> String { "\(date(time)) (\(Self.distance(time, now)))" }
        var details: [String] = []
        switch token.state {
        case .todo:
            summary = "todo: free to be claimed (lock and done are 0)"
            if token["pool"] != nil && token["pool"]?.objectValue == nil {
                details.append("its field `pool` is no object, so tokenpool's workers leave it alone")
            }
        case .waiting:
            summary = "waiting: not yet to be claimed (lock is −2)"
            if let hold = pool.hold { details.append("it is held by its set: \(hold.stringValue ?? hold.description)") }
            if let due = pool.notBefore { details.append("it becomes due \(moment(due))") }
            if !pool.after.isEmpty {
                details.append("it comes after \(pool.after.joined(separator: ", ")), which must be done first")
            }
            if !pool.afterAny.isEmpty {
                details.append("it comes after \(pool.afterAny.joined(separator: ", ")), which must be over first")
            }
            if pool.hold == nil && pool.notBefore == nil && token.dependencies.isEmpty {
                details.append("nothing says what it waits for: `tokenpool token reset` frees it")
            }
        case .locked:
            summary =
                "locked: held by \(token.hostname.isEmpty ? "a worker" : token.hostname) since \(moment(Timestamp(seconds: token.lock)))"
            if let lease = token.lease {
                details.append(
                    lease.isExpired(at: now)
                        ? "the lease of worker \(lease.worker) ran out \(moment(lease.until)); the next sweep takes the token back"
                        : "worker \(lease.worker) holds it until \(moment(lease.until)) and renews that while it works")
            } else {
                details.append(
                    "it has no lease: a PiCaS worker has it; a janitor takes it back when `tokenpool pool settings` say so, else a person does (`tokenpool token reset`)"
                )
            }
        case .done:
            summary = "done: ended well \(moment(Timestamp(seconds: token.done)))"
        case .error:
            (summary, details) = Self.error(token, moment)
        }
        details += notes
        if pool.attempts > 0 {
            let limit = pool.maxAttempts.map { " of \($0)" } ?? ""
            details.append("tries so far: \(pool.attempts)\(limit); put back \(token.scrubCount) times")
        }
        for attempt in pool.history {
            var text =
                "\(date(attempt.started)): \(attempt.outcome.rawValue) on \(attempt.host) after \(Self.length(attempt.ended - attempt.started))"
            if let code = attempt.exitCode { text += ", exit code \(code)" }
            if let reason = attempt.reason { text += ": \(reason)" }
            details.append(text)
        }
        self.details = details
    }

    private static func error(_ token: Token, _ moment: (Timestamp) -> String) -> (String, [String]) {
        var details: [String] = []
        let summary: String
        switch (token["lock"], token["done"], token.lock, token.done) {
        case (nil, _, _, _), (_, nil, _, _):
            summary = "error: it lacks `lock` or `done`, so it is in no view"
            details.append("`tokenpool token reset` makes it a token")
        case (_, _, TokenState.picasErrorMark, TokenState.picasErrorMark):
            summary = "error: given up (lock and done are 99, PiCaS' mark)"
        case (_, _, -1, _):
            summary = "error: given up (lock is −1, the mark of GRID_LRT's launcher)"
        case (_, _, _, 0):
            summary = "error: lock is \(token["lock"]?.description ?? ""), which no worker writes"
        default:
            let code = token.exitCode?.description ?? "missing"
            summary =
                TokenState.leadingInteger(token.exitCode ?? .null) == nil
                ? "error: ended \(moment(Timestamp(seconds: token.done))) without an exit code (it is \(code))"
                : "error: ended with exit code \(code) \(moment(Timestamp(seconds: token.done)))"
        }
        for entry in token.errors.suffix(5) {
            details.append(
                "error entry: \(entry["message"]?.stringValue ?? entry["exception"]?.stringValue ?? entry.description)")
        }
        return (summary, details)
    }

    private static func distance(_ time: Timestamp, _ now: Timestamp) -> String {
        time > now ? "in \(length(time - now))" : "\(length(now - time)) ago"
    }

    private static func length(_ duration: Duration) -> String {
        let seconds = Double(duration.wholeMilliseconds) / 1000
        switch seconds {
        case ..<10: return "\((seconds * 10).rounded() / 10) s"
        case ..<120: return "\(Int(seconds)) s"
        case ..<7200: return "\(Int(seconds / 60)) min"
        case ..<172_800: return "\(Int(seconds / 3600)) h"
        default: return "\(Int(seconds / 86_400)) days"
        }
    }
}
