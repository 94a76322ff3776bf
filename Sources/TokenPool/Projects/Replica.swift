public import CouchDocument

/// A copy of a file at a storage element.
public struct Replica: Hashable, Sendable {
    /// The storage element.
    public var rse: String
    /// Where it is there, for those who know the storage from inside.
    public var path: String?
    /// The best URL.
    public var url: String
    /// All URLs, the best first.
    public var urls: [String]
    /// Lower is better.
    public var preference: Int
    /// Whether it can be read now: on disk, or staged.
    public var isAvailable: Bool
    /// Who says so and may take it back: the name of a source. `nil`: a catalogue, which takes nothing back.
    public var source: String?
    /// Why it could not be brought from tape, the last time that this was tried.
    public var staging: StagingFailure?

    /// A replica of these parts.
    public init(
        rse: String, path: String? = nil, url: String, urls: [String]? = nil, preference: Int = 0,
        isAvailable: Bool = true
    ) {
        self.rse = rse
        self.path = path
        self.url = url
        self.urls = urls ?? [url]
        self.preference = preference
        self.isAvailable = isAvailable
    }

    /// Reads a member of ``FileReplicas``, or an entry of a catalogue. `nil` without a URL.
    public init?(rse: String, _ json: JSON) {
        let urls = json["urls"]?.arrayValue?.compactMap(\.stringValue) ?? []
        guard let url = json["url"]?.stringValue ?? urls.first else { return nil }
        self.init(
            rse: rse, path: json["path"]?.stringValue, url: url, urls: urls.isEmpty ? [url] : urls,
            preference: json["preference"]?.intValue ?? 0, isAvailable: json["available"]?.boolValue ?? true)
        source = json["source"]?.stringValue
        staging = json["staging"].flatMap(StagingFailure.init)
    }

    /// As it stands in documents.
    var record: JSON {
        var members: JSONObject = [
            "path": path.map(JSON.string) ?? .null, "url": .string(url), "urls": .array(urls.map(JSON.string)),
            "preference": .integer(preference), "available": .bool(isAvailable),
        ]
        if let source { members["source"] = .string(source) }
        if let staging { members["staging"] = staging.json }
        return .object(members)
    }

    /// As Data Dispatcher writes it.
    ///
    /// - Parameters:
    ///   - isUp: Whether its storage element is available.
    ///   - proximity: How far that is from the worker that asks, where a worker asks; it takes the place of the preference.
    public func json(of did: DID, isUp: Bool, proximity: Int?? = .none) -> JSON {
        var members: JSONObject = [
            "name": .string(did.name), "namespace": .string(did.namespace), "path": path.map(JSON.string) ?? .null,
            "rse": .string(rse), "url": .string(url), "urls": .array(urls.map(JSON.string)),
            "preference": .integer(preference), "available": .bool(isAvailable), "rse_available": .bool(isUp),
        ]
        if let staging { members["staging"] = staging.json }
        if case .some(let proximity) = proximity {
            members["preference"] = proximity.map(JSON.integer) ?? .null
            members["proximity"] = members["preference"]
        }
        return .object(members)
    }
}

/// That a file could not be brought from tape.
public struct StagingFailure: Hashable, Sendable {
    /// What the storage says.
    public var reason: String
    /// How often it was tried.
    public var tries: Int
    /// When it is tried again.
    public var next: Timestamp

    /// A failure of these parts.
    public init(reason: String, tries: Int, next: Timestamp) {
        self.reason = reason
        self.tries = tries
        self.next = next
    }

    init?(_ json: JSON) {
        guard let reason = json["error"]?.stringValue, let next = Timestamp(json["next"]) else { return nil }
        self.init(reason: reason, tries: json["tries"]?.intValue ?? 1, next: next)
    }

    var json: JSON { ["error": .string(reason), "tries": .integer(tries), "next": next.json] }
}

/// The replicas of a file: a document that all projects with that file share.
public struct FileReplicas: Hashable, Sendable {
    /// The document, all fields included.
    var document: Document
    /// The file.
    public let did: DID

    /// The id of the document of a file's replicas.
    public static func documentID(_ did: DID) -> String { "replicas_\(did)" }

    /// A file without replicas.
    public init(_ did: DID) {
        self.did = did
        document = Document(
            id: Self.documentID(did),
            fields: [
                "type": "replicas", "namespace": .string(did.namespace), "name": .string(did.name), "replicas": [:],
            ])
    }

    /// Takes a document. `nil` when it holds no replicas.
    init?(_ document: Document) {
        guard document["type"] == "replicas", let namespace = document["namespace"]?.stringValue,
            let name = document["name"]?.stringValue, let did = DID(namespace: namespace, name: name)
        else { return nil }
        self.document = document
        self.did = did
    }

    /// The replicas, in the order in which they were added.
    public var replicas: [Replica] {
        get { (document["replicas"]?.objectValue ?? [:]).compactMap { Replica(rse: $0.name, $0.value) } }
        set { document["replicas"] = .object(JSONObject(newValue.map { ($0.rse, $0.record) })) }
    }

    /// Where it can be read, as far as the storage elements are up.
    var readableRSEs: [String] { replicas.filter(\.isAvailable).map(\.rse) }

    /// Takes over replicas; one at the same storage element is replaced.
    ///
    /// - Returns: Whether that changes anything.
    mutating func merge(_ others: [Replica]) -> Bool {
        let before = document["replicas"]
        var members = before?.objectValue ?? [:]
        for other in others { members[other.rse] = other.record }
        document["replicas"] = .object(members)
        return document["replicas"] != before
    }
}
