public import CouchDocument

/// A storage element: where replicas are.
public struct RSE: Hashable, Sendable {
    /// The document, all fields included.
    public internal(set) var document: Document

    static let prefix = "rse_"

    /// The id of a storage element's document.
    public static func documentID(_ name: String) -> String { prefix + name }

    /// A storage element that is enabled and up.
    public init(name: String) {
        document = Document(
            id: Self.documentID(name),
            fields: [
                "type": "rse", "name": .string(name), "description": "", "is_available": true, "is_tape": false,
                "pin_url": nil, "poll_url": nil, "remove_prefix": "", "add_prefix": "", "pin_prefix": "",
                "preference": 0, "is_enabled": true, "interface": nil,
            ])
    }

    /// Takes a document. `nil` when it is no storage element.
    init?(_ document: Document) {
        guard document["type"] == "rse", document["name"]?.stringValue != nil else { return nil }
        self.document = document
    }

    /// Its name.
    public var name: String { document["name"]?.stringValue ?? "" }
    /// Whether it exists for anybody.
    public var isEnabled: Bool { document["is_enabled"] == true }
    /// Whether it is up.
    public var isUp: Bool { document["is_available"] == true }
    /// Whether its files can be read.
    public var isReadable: Bool { isEnabled && isUp }
    /// Whether its files are on tape: they can be read once they were brought to disk.
    public var isTape: Bool { document["is_tape"] == true }
    /// Lower is better, among those that are equally near.
    public var preference: Int { document["preference"]?.intValue ?? 0 }

    /// What can be set, by the names in documents: the kind of value that it takes.
    static let settings: [(name: String, kind: Kind)] = [
        ("description", .text), ("is_enabled", .flag), ("is_available", .flag), ("is_tape", .flag), ("pin_url", .text),
        ("poll_url", .text), ("remove_prefix", .text), ("add_prefix", .text), ("pin_prefix", .text),
        ("preference", .number), ("interface", .text),
    ]
    enum Kind { case text, flag, number }

    /// Sets what is named and not null.
    ///
    /// - Throws: ``PoolError/Code/badInput`` for a value of the wrong kind.
    public mutating func set(_ values: JSONObject) throws {
        for (name, kind) in Self.settings {
            guard let value = values[name], !value.isNull else { continue }
            let isRight =
                switch kind {
                case .text: value.stringValue != nil
                case .flag: value.boolValue != nil
                case .number: value.intValue != nil
                }
            guard isRight else {
                throw PoolError(.badInput, "\(name) of RSE \"\(self.name)\" can not be a \(value.kind)")
            }
            document[name] = value
        }
    }

    /// As Data Dispatcher writes it.
    public var json: JSONObject {
        var members: JSONObject = [:]
        for name in [
            "name", "description", "is_available", "is_tape", "pin_url", "poll_url", "remove_prefix", "add_prefix",
            "pin_prefix", "preference", "is_enabled",
        ] { members[name] = document[name] ?? .null }
        members["type"] = document["interface"] ?? .null
        return members
    }
}
