import CouchDB
import CouchDocument

/// A set as its document tells it: the tokens themselves are found by views.
///
/// The document is `set_<name>`, of type `set`. While `state` is `creating`, nobody sees the set: its tokens wait, held.
public struct TokenSet: Hashable, Sendable {
    /// Where a set stands.
    public enum State: String, Sendable, CaseIterable {
        /// Its tokens are being written, or their writer died.
        case creating
        /// Its tokens can be worked on.
        case ready
        /// No more of its tokens are started.
        case cancelled
        /// It is being deleted, or the deletion was interrupted.
        case deleting
    }

    /// What is being done to the tokens of a set in bulk.
    public enum Step: String, Sendable {
        /// Tokens are being written, held.
        case writing
        /// All are written; their hold is being taken away. Anybody can finish this.
        case releasing
        /// Nothing is going on.
        case finished
    }

    /// The set document.
    public var document: Document

    /// Reads a set document; `nil` when it is none.
    public init?(_ document: Document) {
        guard document["type"] == "set", document["name"]?.stringValue != nil else { return nil }
        self.document = document
    }

    /// The set document's id for a name.
    public static func documentID(_ name: String) -> String { "set_" + name }

    /// The set's name.
    public var name: String { document["name"]?.stringValue ?? "" }
    /// What people should know of the set.
    public var description: String? { document["description"]?.stringValue }
    /// Where it stands.
    public var state: State {
        get { document["state"]?.stringValue.flatMap(State.init) ?? .ready }
        set { document["state"] = .string(newValue.rawValue) }
    }
    /// How many tokens its configuration makes.
    public var tokens: Int {
        get { document["tokens"]?.intValue ?? 0 }
        set { document["tokens"] = .integer(newValue) }
    }
    /// How many of its tokens may be held at once; `nil` any number.
    public var limit: Int? {
        get { document["limit"]?.intValue.flatMap { $0 >= 0 ? $0 : nil } }
        set { document["limit"] = newValue.map(JSON.integer) }
    }
    /// Its part of the pool beside the sets that have work as well; `nil` is 1.
    public var share: Double? {
        get { document["share"]?.numberValue.flatMap { $0 > 0 ? $0 : nil } }
        set { document["share"] = newValue.flatMap(JSON.double) }
    }
    /// When it was created.
    public var created: Timestamp? { Timestamp(document["created"]) }
    /// What is being done in bulk.
    public var step: Step {
        get { document["creation"]?["step"]?.stringValue.flatMap(Step.init) ?? .finished }
        set { set(newValue, \.rawValue, "step") }
    }
    /// Until when its writer can be trusted to be alive.
    var writerUntil: Timestamp? {
        get { Timestamp(document["creation"]?["until"]) }
        set {
            var creation = document["creation"]?.objectValue ?? [:]
            creation["until"] = newValue?.json
            document["creation"] = .object(creation)
        }
    }
    /// Who writes: `{host, process}`.
    var writer: JSON? { document["creation"]?["by"] }

    private mutating func set<Value>(_ value: Value, _ text: (Value) -> String, _ key: String) {
        var creation = document["creation"]?.objectValue ?? [:]
        creation[key] = .string(text(value))
        document["creation"] = .object(creation)
    }
}

/// How many tokens of a set are in which state.
public struct StateCounts: Hashable, Sendable {
    /// The counts; a state without tokens is missing.
    public var counts: [TokenState: Int]

    /// No tokens.
    public init(_ counts: [TokenState: Int] = [:]) { self.counts = counts }

    /// The number of tokens in a state.
    public subscript(state: TokenState) -> Int {
        get { counts[state] ?? 0 }
        set { counts[state] = newValue == 0 ? nil : newValue }
    }

    /// All tokens.
    public var total: Int { counts.values.reduce(0, +) }
    /// Those that are done or in error.
    public var ended: Int { self[.done] + self[.error] }
    /// The counts by name, every state present.
    public var json: JSON {
        var members = JSONObject(TokenState.allCases.map { ($0.rawValue, .integer(self[$0])) })
        members["total"] = .integer(total)
        return .object(members)
    }
}

/// How far a long operation is.
public struct SetProgress: Hashable, Sendable {
    /// What is being done.
    public enum Phase: String, Sendable {
        /// Every token is made once to see that all is well; nothing is written yet.
        case checking
        /// Tokens are written.
        case writing
        /// Tokens are freed to be worked on.
        case releasing
        /// Tokens are put back.
        case resetting
        /// Tokens are held back.
        case holding
        /// Tokens are deleted.
        case deleting
        /// Files are fetched.
        case collecting
        /// Documents are fetched or read.
        case archiving
    }

    /// What is being done.
    public let phase: Phase
    /// How many tokens are through.
    public let done: Int
    /// How many there are; `nil` when nobody knows yet.
    public let total: Int?
}

/// The sets of a pool: created from configurations, watched, collected and deleted.
///
/// A handle. All state is in the documents, so that what one process began another can finish.
public struct TokenSets: Sendable {
    /// The pool that holds the tokens.
    public let pool: Pool
    /// The documents.
    public var database: Database { pool.database }
    var now: Timestamp { pool.clock.now() }

    /// What hears how far an operation is; may be called from any task, in no particular order.
    public typealias Progress = @Sendable (SetProgress) -> Void

    /// The sets of that pool.
    public init(_ pool: Pool) { self.pool = pool }

    /// Tokens that go in one request.
    static let batchSize = 1000
    /// Bytes after which a request is full, even with fewer tokens.
    static let batchBytes = 4 << 20
    /// Requests under way at a time.
    static let requestsAtATime = 3
}

extension ViewName {
    static let sets = ViewName(design: "tokenpool", view: "sets")
    static let setStates = ViewName(design: "tokenpool", view: "states")
    static let setTokens = ViewName(design: "tokenpool", view: "tokens")
    static let held = ViewName(design: "tokenpool", view: "held")
}
