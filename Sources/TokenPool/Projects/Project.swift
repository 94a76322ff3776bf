public import CouchDocument

/// Where a project stands.
public enum ProjectState: String, Hashable, Sendable, CaseIterable {
    /// Its files are being written; nobody sees it.
    case creating
    /// Files can be reserved.
    case active
    /// All files are done.
    case done
    /// All files are done or failed, and some failed.
    case failed
    /// Somebody ended it.
    case cancelled
    /// Nothing happened for longer than its idle time-out.
    case abandoned
    /// Its files are being deleted; nobody sees it.
    case deleting

    /// Whether readers see such a project.
    public var isVisible: Bool { self != .creating && self != .deleting }
}

/// A project: files to be processed together, and who may do so.
public struct Project: Hashable, Sendable {
    /// The document, all fields included.
    public var document: Document

    /// Takes a document. `nil` when it is no project.
    public init?(_ document: Document) {
        guard document["type"] == "project", document["project"]?.intValue != nil, Self.state(document) != nil else {
            return nil
        }
        self.document = document
    }

    /// The id of a project's document.
    public static func documentID(_ number: Int) -> String { "project_\(number)" }

    init(_ draft: ProjectDraft, number: Int, owner: String, now: Timestamp, until: Timestamp) {
        document = Document(
            id: Self.documentID(number),
            fields: [
                "type": "project", "project": .integer(number), "state": "creating", "owner": .string(owner),
                "created": now.json, "ended": nil, "query": draft.query.map(JSON.string) ?? .null,
                "attributes": .object(draft.attributes), "worker_timeout": Self.seconds(draft.workerTimeout),
                "idle_timeout": Self.seconds(draft.idleTimeout), "users": .array(draft.users.map(JSON.string)),
                "roles": .array(draft.roles.map(JSON.string)), "files": .integer(draft.files.count),
                "until": until.json,
            ])
        note(.create, at: now, by: owner, draft.copyOf.map { ["copy_of": .integer($0)] } ?? [:])
    }

    private static func state(_ document: Document) -> ProjectState? {
        document["state"]?.stringValue.flatMap(ProjectState.init)
    }

    private static func seconds(_ duration: Duration?) -> JSON {
        duration.flatMap { JSON.double(Double($0.wholeMilliseconds) / 1000) } ?? .null
    }

    /// Its number; no other project ever has it.
    public var number: Int { document["project"]?.intValue ?? 0 }
    /// Who made it.
    public var owner: String { document["owner"]?.stringValue ?? "" }
    /// Where it stands.
    public internal(set) var state: ProjectState {
        get { Self.state(document) ?? .deleting }
        set { document["state"] = .string(newValue.rawValue) }
    }
    /// When it was made.
    public var created: Timestamp { Timestamp(document["created"]) ?? Timestamp(seconds: 0) }
    /// When it ended, the last time that it did.
    public internal(set) var ended: Timestamp? {
        get { Timestamp(document["ended"]) }
        set { document["ended"] = newValue?.json ?? .null }
    }
    /// What its maker wrote about it.
    public var attributes: JSONObject { document["attributes"]?.objectValue ?? [:] }
    /// The query that found its files.
    public var query: String? { document["query"]?.stringValue }
    /// How long a worker may have a file; `nil` as long as it likes.
    public var workerTimeout: Duration? { duration("worker_timeout") }
    /// How long nothing may happen before it counts as abandoned; `nil` for ever.
    public var idleTimeout: Duration? { duration("idle_timeout") }
    /// Who may work on it, beside its owner.
    public var users: [String] { list("users") }
    /// Whose members may work on it.
    public var roles: [String] { list("roles") }
    /// How many files it has.
    public var files: Int { document["files"]?.intValue ?? 0 }

    /// Whether its files need no replicas: attribute `virtual`.
    public var isVirtual: Bool { attributes["virtual"]?.looseFlag ?? false }
    /// Whether a file goes back when its worker had it for too long, rather than failing: attribute `retry_on_timeout`.
    public var retriesTimeouts: Bool { attributes["retry_on_timeout"]?.looseFlag ?? true }
    /// How often a file may be tried: attribute `max_attempts`; `nil` any number of times.
    public var maxAttempts: Int? { attributes["max_attempts"]?.intValue.flatMap { $0 > 0 ? $0 : nil } }

    private func duration(_ name: String) -> Duration? {
        document[name]?.numberValue.map { .milliseconds(Int(($0 * 1000).rounded())) }
    }

    private func list(_ name: String) -> [String] { document[name]?.arrayValue?.compactMap(\.stringValue) ?? [] }

    /// As Data Dispatcher writes it, without files.
    ///
    /// - Parameter hasOpenFiles: Whether some file is neither done nor failed.
    public func json(hasOpenFiles: Bool) -> JSONObject {
        [
            "project_id": .integer(number), "owner": .string(owner), "state": .string(state.rawValue),
            "retry_count": .null, "attributes": .object(attributes), "created_timestamp": created.json,
            "ended_timestamp": ended?.json ?? .null, "active": .bool(state == .active && hasOpenFiles),
            "query": document["query"] ?? .null, "worker_timeout": Self.seconds(workerTimeout),
            "idle_timeout": Self.seconds(idleTimeout), "users": document["users"] ?? [],
            "roles": document["roles"] ?? [],
        ]
    }
}
