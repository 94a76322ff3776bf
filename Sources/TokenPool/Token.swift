import CouchDocument

/// A piece of work: a document with PiCaS' ten base fields, and ``pool`` for what tokenpool adds.
///
/// Fields that nobody here knows, and attachments, stay as they are.
public struct Token: Hashable, Sendable {
    /// The document, all fields included.
    public var document: Document

    /// A new token, free to be claimed, with PiCaS' base fields in PiCaS' order.
    public init(id: String, type: String = "token") {
        document = Document(
            id: id,
            fields: [
                "type": .string(type), "lock": 0, "done": 0, "hostname": "", "scrub_count": 0, "input": [:],
                "exit_code": "", "output": [:], "uploads": [:], "error": [],
            ])
    }

    /// Takes a document as it is. Base fields that it lacks are added when something is written to them.
    public init(_ document: Document) { self.document = document }

    /// A field of the document.
    public subscript(name: String) -> JSON? {
        get { document[name] }
        set { document[name] = newValue }
    }

    /// `_id`.
    public var id: String { document.id }
    /// `_rev`; `nil` when it was never saved.
    public var revision: Revision? {
        get { document.revision }
        set { document.revision = newValue }
    }
    /// `token` in PiCaS, the token type in GRID_LRT.
    public var type: String {
        get { document["type"]?.stringValue ?? "" }
        set { document["type"] = .string(newValue) }
    }
    /// When it was claimed, in seconds since 1970; 0 free, −2 waiting, 99 or −1 given up.
    public var lock: Int {
        get { Self.wholeNumber(document["lock"]) }
        set { document["lock"] = .integer(newValue) }
    }
    /// When it ended, in seconds since 1970; 0 not yet.
    public var done: Int {
        get { Self.wholeNumber(document["done"]) }
        set { document["done"] = .integer(newValue) }
    }
    /// The machine that works or worked on it.
    public var hostname: String {
        get { document["hostname"]?.stringValue ?? "" }
        set { document["hostname"] = .string(newValue) }
    }
    /// How often it was put back.
    public var scrubCount: Int {
        get { Self.wholeNumber(document["scrub_count"]) }
        set { document["scrub_count"] = .integer(newValue) }
    }
    /// How the command ended; `""` not yet.
    public var exitCode: JSON? {
        get { document["exit_code"] }
        set { document["exit_code"] = newValue }
    }
    /// What to work on; a string is PiCaS' command line.
    public var input: JSON {
        get { document["input"] ?? .null }
        set { document["input"] = newValue }
    }
    /// What came out.
    public var output: JSON? {
        get { document["output"] }
        set { document["output"] = newValue }
    }
    /// What was uploaded, by name.
    public var uploads: JSON? {
        get { document["uploads"] }
        set { document["uploads"] = newValue }
    }
    /// What went wrong, oldest first: objects with `time` and `message`.
    public var errors: [JSON] {
        get { document["error"]?.arrayValue ?? [] }
        set { document["error"] = .array(newValue) }
    }
    /// GRID_LRT's word for where it stands, in sets that use it.
    public var status: String? {
        get { document["status"]?.stringValue }
        set { document["status"] = newValue.map(JSON.string) }
    }
    /// What tokenpool adds.
    public var pool: PoolFields {
        get { PoolFields(document["pool"]?.objectValue ?? [:]) }
        set { document["pool"] = newValue.members.isEmpty ? nil : .object(newValue.members) }
    }
    /// Where it stands.
    public var state: TokenState {
        TokenState(lock: document["lock"], done: document["done"], exitCode: document["exit_code"])
    }

    /// The lease, when it belongs to the present lock: the worker that wrote it still holds the token.
    public var lease: Lease? {
        guard state == .locked, let lease = pool.lease, lease.since == lock else { return nil }
        return lease
    }

    /// The name under which a log is attached, as PiCaS' example has it: `logs_<id>.out` and `logs_<id>.err`.
    public func logName(_ end: String) -> String { "logs_\(id).\(end)" }

    /// The attached files that came with the token: all but the logs, outputs and superseded results of tries.
    public var inputAttachments: [String] {
        let outputs = uploads?.objectValue ?? [:]
        return document.attachments.names.filter { name in
            outputs[name] == nil && name != logName("out") && name != logName("err")
                && !(name.hasPrefix("attempt-") && name.hasSuffix(".json"))
        }
    }

    /// Adds an entry to `error`, as PiCaS does. A value there that is no list becomes the list's first entry.
    public mutating func addError(_ message: String, at time: Timestamp) {
        if let present = document["error"], present.arrayValue == nil, !present.isNull, present != "" {
            errors = [present]
        }
        errors += [["time": .integer(time.seconds), "message": .string(message)]]
    }

    private static func wholeNumber(_ value: JSON?) -> Int {
        value.flatMap(TokenState.looseNumber).flatMap { Int(exactly: $0.rounded(.towardZero)) } ?? 0
    }
}
