import CouchDocument

/// The member `pool` of a token: all that tokenpool adds to PiCaS' fields. Other programs ignore and keep it.
///
/// Typed access to the members in use; the others are kept. A member of the wrong kind reads as absent.
public struct PoolFields: Hashable, Sendable {
    /// All members.
    public var members: JSONObject

    /// The fields of these members.
    public init(_ members: JSONObject = [:]) { self.members = members }

    /// How many tries ``history`` keeps, the oldest going first.
    public static let historyLimit = 10

    /// The set that the token belongs to.
    public var set: String? {
        get { members["set"]?.stringValue }
        set { members["set"] = newValue.map(JSON.string) }
    }
    /// `command`, `file` or `disco`; absent means a command.
    public var kind: String? {
        get { members["kind"]?.stringValue }
        set { members["kind"] = newValue.map(JSON.string) }
    }
    /// Greater goes first, where a view orders by it; absent means 0.
    public var priority: Int? {
        get { members["priority"]?.intValue }
        set { members["priority"] = newValue.map(JSON.integer) }
    }
    /// What a machine must offer: cores, memory, gpus, walltime.
    public var requires: JSONObject {
        get { members["requires"]?.objectValue ?? [:] }
        set { members["requires"] = newValue.isEmpty ? nil : .object(newValue) }
    }
    /// How often the token was claimed, those tries left out that were handed back unfinished.
    public var attempts: Int {
        get { members["attempts"]?.intValue ?? 0 }
        set { members["attempts"] = .integer(newValue) }
    }
    /// How many tries there may be; see ``AttemptPolicy`` for tokens that do not say.
    public var maxAttempts: Int? {
        get { members["max_attempts"]?.intValue }
        set { members["max_attempts"] = newValue.map(JSON.integer) }
    }
    /// Seconds to wait before the next try; absent means none.
    public var retryDelay: Duration? {
        get { members["retry_delay"]?.numberValue.map { .milliseconds(Int($0 * 1000)) } }
        set { members["retry_delay"] = newValue.map { Timestamp(milliseconds: $0.wholeMilliseconds).json } }
    }
    /// When the token was made, where it is known.
    public var created: Timestamp? {
        get { Timestamp(members["created"]) }
        set { members["created"] = newValue?.json }
    }
    /// A waiting token is due at this moment.
    public var notBefore: Timestamp? {
        get { Timestamp(members["not_before"]) }
        set { members["not_before"] = newValue?.json }
    }
    /// Tokens or sets that must be over first, done or not.
    public var afterAny: [String] {
        get { members["after_any"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        set { members["after_any"] = newValue.isEmpty ? nil : .array(newValue.map(JSON.string)) }
    }
    /// Tokens or sets that must be done first.
    public var after: [String] {
        get { members["after"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        set { members["after"] = newValue.isEmpty ? nil : .array(newValue.map(JSON.string)) }
    }
    /// Present while a waiting token is held by whoever writes its set; it becomes due when that one releases it.
    public var hold: JSON? {
        get { members["hold"] }
        set { members["hold"] = newValue }
    }
    /// Who holds the token, and until when.
    public var lease: Lease? {
        get { Lease(members["lease"]) }
        set { members["lease"] = newValue?.json }
    }
    /// The last tries that are over, oldest first.
    public var history: [Attempt] {
        get { members["history"]?.arrayValue?.compactMap(Attempt.init) ?? [] }
        set { members["history"] = newValue.isEmpty ? nil : .array(newValue.suffix(Self.historyLimit).map(\.json)) }
    }
    /// What to run: a string for the shell or an array of arguments, either with `{templates}`.
    public var command: JSON? {
        get { members["command"] }
        set { members["command"] = newValue }
    }
    /// Variables for the command's environment.
    public var environment: JSONObject {
        get { members["environment"]?.objectValue ?? [:] }
        set { members["environment"] = newValue.isEmpty ? nil : .object(newValue) }
    }
    /// The bundle of files that the command runs in.
    public var sandbox: JSON? {
        get { members["sandbox"] }
        set { members["sandbox"] = newValue }
    }
    /// Globs of the files that are attached when the command ended.
    public var outputs: [String] {
        get { members["outputs"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        set { members["outputs"] = newValue.isEmpty ? nil : .array(newValue.map(JSON.string)) }
    }
    /// The size beyond which an output is not kept; `nil` none.
    public var outputLimit: Int? {
        get { members["output_limit"]?.intValue }
        set { members["output_limit"] = newValue.map(JSON.integer) }
    }
    /// A folder, or a URL whose server takes `PUT`, to which outputs go instead of being attached. A template.
    public var outputTarget: String? {
        get { members["output_to"]?.stringValue }
        set { members["output_to"] = newValue.map(JSON.string) }
    }
    /// A regular expression with named groups that finds fields of the token on the command's stdout.
    public var resultPattern: String? {
        get { members["result_pattern"]?.stringValue }
        set { members["result_pattern"] = newValue.map(JSON.string) }
    }
    /// How many bytes of each log are kept, half from its beginning, half from its end.
    public var logLimit: Int? {
        get { members["logs"]?["limit"]?.intValue }
        set {
            var logs = members["logs"]?.objectValue ?? [:]
            logs["limit"] = newValue.map(JSON.integer)
            members["logs"] = logs.isEmpty ? nil : .object(logs)
        }
    }
    /// How long the command may take.
    public var timeLimit: Duration? {
        get { members["time_limit"]?.numberValue.map { .milliseconds(Int($0 * 1000)) } }
        set { members["time_limit"] = newValue.map { Timestamp(milliseconds: $0.wholeMilliseconds).json } }
    }
    /// The length of the lease; absent means what the worker was told.
    public var leaseLength: Duration? {
        get { members["lease_seconds"]?.numberValue.map { .milliseconds(Int($0 * 1000)) } }
        set { members["lease_seconds"] = newValue.map { Timestamp(milliseconds: $0.wholeMilliseconds).json } }
    }
    /// Whether the result of a worker that lost the token is dropped; else it is attached to what won.
    public var dropsSuperseded: Bool {
        get { members["superseded"] == .string("drop") }
        set { members["superseded"] = newValue ? .string("drop") : nil }
    }
}
