import CouchDocument

/// One try at a token that is over: an entry of `pool.history`.
public struct Attempt: Hashable, Sendable {
    /// How a try ended.
    public enum Outcome: String, Hashable, Sendable {
        /// The command ended with 0.
        case done
        /// The command ended with something else, or could not be prepared or reported.
        case failed
        /// The command was stopped for taking too long.
        case timeLimit = "time_limit"
        /// The worker handed the token back before the end.
        case released
        /// The worker was not heard of in time.
        case lapsed
        /// A person put the token back.
        case reset
    }

    /// The lease it ran under.
    public var lease: String
    /// The worker.
    public var worker: String
    /// The worker's machine.
    public var host: String
    /// When it was claimed or its command began.
    public var started: Timestamp
    /// When it was over.
    public var ended: Timestamp
    /// How.
    public var outcome: Outcome
    /// The exit code, when a command ran to its end.
    public var exitCode: Int?
    /// What there is to say beyond the outcome.
    public var reason: String?

    /// A try of these parts.
    public init(
        lease: String, worker: String, host: String, started: Timestamp, ended: Timestamp, outcome: Outcome,
        exitCode: Int? = nil, reason: String? = nil
    ) {
        self.lease = lease
        self.worker = worker
        self.host = host
        self.started = started
        self.ended = ended
        self.outcome = outcome
        self.exitCode = exitCode
        self.reason = reason
    }

    /// Between 0 and 1, and different for tries that ended together: from the lease's name, so that whoever writes the end
    /// of a try writes the same.
    var spread: Double {
        let hash = (lease + host).utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return Double(hash % 1000) / 1000
    }

    /// As it stands in documents.
    public var json: JSON {
        var fields: JSONObject = [
            "lease": .string(lease), "worker": .string(worker), "host": .string(host), "started": started.json,
            "ended": ended.json, "outcome": .string(outcome.rawValue),
        ]
        fields["exit_code"] = exitCode.map(JSON.integer)
        fields["reason"] = reason.map(JSON.string)
        return .object(fields)
    }

    /// Reads an entry of `pool.history`. `nil` when it is not one.
    public init?(_ json: JSON) {
        guard let outcome = json["outcome"]?.stringValue.flatMap(Outcome.init(rawValue:)),
            let ended = Timestamp(json["ended"])
        else { return nil }
        self.init(
            lease: json["lease"]?.stringValue ?? "", worker: json["worker"]?.stringValue ?? "",
            host: json["host"]?.stringValue ?? "", started: Timestamp(json["started"]) ?? ended, ended: ended,
            outcome: outcome, exitCode: json["exit_code"]?.intValue, reason: json["reason"]?.stringValue)
    }
}
