import CouchDocument
import TokenPool

/// A request for files on disk that a storage has taken: a document, so that it survives whoever made it.
struct StagingRequest: Sendable, Hashable {
    /// A file of it.
    struct File: Sendable, Hashable {
        var did: DID
        /// Whether the storage said that it can be read.
        var isOnline = false
    }

    /// The document, all fields included.
    var document: Document
    /// The files by their paths at the storage.
    var files: [String: File]

    static let prefix = "staging_"

    /// A request that was taken just now.
    init(rse: String, request: String, files: [String: File], until: Timestamp, name: String) {
        document = Document(
            id: Self.prefix + rse + "_" + name,
            fields: [
                "type": "staging", "rse": .string(rse), "request": .string(request), "until": until.json,
            ])
        self.files = files
        write()
    }

    /// Takes a document. `nil` when it is no request.
    init?(_ document: Document) {
        guard document["type"] == "staging", document["rse"]?.stringValue != nil,
            document["request"]?.stringValue != nil
        else { return nil }
        self.document = document
        files = [:]
        for member in document["files"]?.objectValue ?? [:] {
            guard let did = member.value["did"]?.stringValue.flatMap(DID.init) else { continue }
            files[member.name] = File(did: did, isOnline: member.value["online"] == true)
        }
    }

    /// The storage element.
    var rse: String { document["rse"]?.stringValue ?? "" }
    /// The storage's name of it.
    var request: String { document["request"]?.stringValue ?? "" }
    /// When its files may go back to tape.
    var until: Timestamp { Timestamp(document["until"]) ?? Timestamp(seconds: 0) }
    /// The files.
    var dids: [DID] { files.values.map(\.did) }

    /// Brings the document up to date with ``files``.
    mutating func write() {
        document["files"] = .object(
            JSONObject(
                files.sorted { $0.key < $1.key }.map { path, file in
                    (path, ["did": .string(file.did.description), "online": .bool(file.isOnline)])
                }))
    }
}
