public import CouchDocument

/// Something that happened to a project as a whole: an entry of its log.
public struct ProjectEvent: Hashable, Sendable {
    /// What happened.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// It was made, from a list of files or from another project.
        case create
        /// Files were put back.
        case restart
        /// Somebody made it active again.
        case activate
        /// A worker came back to it when it had been abandoned.
        case wake
        /// Somebody ended it.
        case cancel
        /// Nothing had happened for too long.
        case abandon
        /// Its last file was closed.
        case end
    }

    /// When.
    public var at: Timestamp
    /// What.
    public var kind: Kind
    /// Who did it; `nil` when it was nobody in particular.
    public var by: String?
    /// What there is to say: how many files, the state afterwards, the project that was copied.
    public var details: JSONObject

    init(_ kind: Kind, at: Timestamp, by: String? = nil, _ details: JSONObject = [:]) {
        self.kind = kind
        self.at = at
        self.by = by
        self.details = details
    }

    /// Reads an entry. `nil` when it is none.
    init?(_ json: JSON) {
        guard let at = Timestamp(json["at"]), let kind = json["event"]?.stringValue.flatMap(Kind.init) else {
            return nil
        }
        var details = json.objectValue ?? [:]
        for name in ["at", "event", "by"] { details[name] = nil }
        self.init(kind, at: at, by: json["by"]?.stringValue, details)
    }

    /// As it stands in the project's document, and goes to whoever asks.
    public var json: JSON {
        var members: JSONObject = ["at": at.json, "event": .string(kind.rawValue)]
        members["by"] = by.map(JSON.string)
        members.merge(details)
        return .object(members)
    }
}

extension Project {
    /// So many entries are kept, the oldest going first.
    public static let logLimit = 100

    /// What happened to the project, the oldest first.
    public var log: [ProjectEvent] { document["log"]?.arrayValue?.compactMap(ProjectEvent.init) ?? [] }

    mutating func note(
        _ kind: ProjectEvent.Kind, at now: Timestamp, by: String? = nil, _ details: JSONObject = [:]
    ) {
        let entries = (document["log"]?.arrayValue ?? []) + [ProjectEvent(kind, at: now, by: by, details).json]
        document["log"] = .array(Array(entries.suffix(Self.logLimit)))
    }
}
