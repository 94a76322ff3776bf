import CouchDocument

/// What a try at a token came to, ready to be written.
public struct TokenResult: Hashable, Sendable {
    /// A small file that goes with the result in the same request.
    public struct InlineAttachment: Hashable, Sendable {
        /// The attachment's name.
        public var name: String
        /// The media type.
        public var contentType: String
        /// The content.
        public var bytes: [UInt8]

        /// An attachment of these parts.
        public init(name: String, contentType: String, bytes: [UInt8]) {
            self.name = name
            self.contentType = contentType
            self.bytes = bytes
        }
    }

    /// How it ended.
    public var outcome: Attempt.Outcome
    /// The command's exit code, negative for the signal that ended it; `nil` when none ran.
    public var exitCode: Int?
    /// What a token that is handed back unfinished becomes; for the outcome `released`.
    public var handBack = HandBack.todo
    /// When the command began.
    public var started: Timestamp
    /// When it ended.
    public var ended: Timestamp
    /// The new `output`; `nil` leaves it.
    public var output: JSON?
    /// Fields that the command sets; those that the pool keeps itself are left alone, see ``mayWrite(_:)``.
    public var fields: JSONObject = [:]
    /// Entries for `uploads`.
    public var uploads: JSONObject
    /// Entries for `error`.
    public var messages: [String]
    /// Files that go with it.
    public var attachments: [InlineAttachment]

    /// A result of these parts.
    public init(
        outcome: Attempt.Outcome, exitCode: Int? = nil, started: Timestamp, ended: Timestamp, output: JSON? = nil,
        uploads: JSONObject = [:], messages: [String] = [], attachments: [InlineAttachment] = []
    ) {
        self.outcome = outcome
        self.exitCode = exitCode
        self.started = started
        self.ended = ended
        self.output = output
        self.uploads = uploads
        self.messages = messages
        self.attachments = attachments
    }

    /// The result of a command that ran to its end: done when the code is 0.
    public init(exitCode: Int, started: Timestamp, ended: Timestamp) {
        self.init(outcome: exitCode == 0 ? .done : .failed, exitCode: exitCode, started: started, ended: ended)
    }

    /// Whether a command may set that field of its token.
    public static func mayWrite(_ field: String) -> Bool {
        !field.isEmpty && !field.hasPrefix("_") && !reserved.contains(field)
    }

    private static let reserved =
        Set(["type", "lock", "done", "hostname", "scrub_count", "exit_code", "uploads", "error", "pool"])
        .union(WorkerIdentity.JobIdentifier.fields)

    /// The result as a document of its own, for an attempt whose token was taken by somebody else meanwhile.
    public func record(of claim: ClaimedToken) -> JSON {
        var fields: JSONObject = [
            "token": .string(claim.token.id), "lease": .string(claim.lease.id),
            "worker": .string(claim.worker.name), "host": .string(claim.worker.hostname),
            "attempt": .integer(claim.attempt), "outcome": .string(outcome.rawValue), "started": started.json,
            "ended": ended.json,
        ]
        fields["exit_code"] = exitCode.map(JSON.integer)
        fields["output"] = output
        if !self.fields.isEmpty { fields["fields"] = .object(self.fields) }
        if !uploads.isEmpty { fields["uploads"] = .object(uploads) }
        if !messages.isEmpty { fields["error"] = .array(messages.map(JSON.string)) }
        for attachment in attachments {
            fields["text:" + attachment.name] = .string(String(decoding: attachment.bytes, as: UTF8.self))
        }
        return .object(fields)
    }
}

/// How a write ended that others may have forestalled.
public enum SaveOutcome: Hashable, Sendable {
    /// It is written; here is the token with its new revision.
    case saved(Token)
    /// Somebody else moved the token on; here is theirs, or `nil` when it was deleted.
    case superseded(Token?)
}
