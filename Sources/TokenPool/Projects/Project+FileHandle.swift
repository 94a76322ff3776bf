public import CouchDocument

/// Where a file of a project stands.
public enum FileState: String, Hashable, Sendable, CaseIterable {
    /// Nobody has it.
    case initial
    /// A worker has it.
    case reserved
    /// It was processed.
    case done
    /// It is not to be tried again.
    case failed

    /// Whether there is still something to do with it.
    public var isOpen: Bool { self == .initial || self == .reserved }
}

extension Project {
    /// A file of a project: a token of kind `file`.
    ///
    /// Its four states are the token's todo, locked, done and error; its reservation is the token's lease. The document's id
    /// follows from project and name, so that no project has a file twice and a release needs no search.
    public struct FileHandle: Hashable, Sendable {
        /// The token, all fields included.
        public var token: Token

        /// Takes a document. `nil` when it is no file of a project.
        public init?(_ document: Document) { self.init(Token(document)) }

        init?(_ token: Token) {
            guard token.type == "file", token["pool"]?["project"]?.intValue != nil, token["input"]?["name"] != nil
            else {
                return nil
            }
            self.token = token
        }

        /// The id of a file's document.
        public static func documentID(_ project: Int, _ did: DID) -> String { "file_\(project)_\(did)" }

        /// A file that nobody has tried yet.
        ///
        /// - Parameter rses: Where there is a readable replica of it.
        init(_ file: ProjectFile, at position: Int, of project: Project, rses: [String], now: Timestamp) {
            var token = Token(id: Self.documentID(project.number, file.did), type: "file")
            token.input = ["namespace": .string(file.did.namespace), "name": .string(file.did.name)]
            token["attributes"] = .object(file.attributes)
            var pool = PoolFields([
                "set": .string(Project.documentID(project.number)), "kind": "file", "project": .integer(project.number),
                "position": .integer(position), "attempts": 0, "at": now.json,
            ])
            if project.isVirtual { pool.members["virtual"] = true } else { pool.members["rses"] = Self.list(rses) }
            if !project.retriesTimeouts { pool.members["on_timeout"] = "fail" }
            pool.maxAttempts = project.maxAttempts
            token.pool = pool
            self.token = token
        }

        private static func list(_ names: [String]) -> JSON { .array(names.map(JSON.string)) }

        /// The document's id.
        public var id: String { token.id }
        /// The number of its project.
        public var project: Int { token["pool"]?["project"]?.intValue ?? 0 }
        /// The file's namespace.
        public var namespace: String { token["input"]?["namespace"]?.stringValue ?? "" }
        /// The file's name.
        public var name: String { token["input"]?["name"]?.stringValue ?? "" }
        /// The file. `nil` when somebody made the document into something that names none.
        public var did: DID? { DID(namespace: namespace, name: name) }
        /// Its place in the project.
        public var position: Int { token["pool"]?["position"]?.intValue ?? 0 }
        /// How often it was reserved.
        public var attempts: Int { token.pool.attempts }
        /// What the project's maker, or a time-out, wrote about it.
        public var attributes: JSONObject {
            get { token["attributes"]?.objectValue ?? [:] }
            set { token["attributes"] = .object(newValue) }
        }
        /// Where it stands.
        public var state: FileState {
            switch token.state {
            case .todo, .waiting: .initial
            case .locked: .reserved
            case .done: .done
            case .error: .failed
            }
        }
        /// Who has it now.
        public var workerID: String? { state == .reserved ? token.lease?.worker : nil }
        /// When it was last reserved.
        public var reservedSince: Timestamp? { Timestamp(token["pool"]?["reserved"]) }
        /// Whether it needs no replica.
        public var isVirtual: Bool { token["pool"]?["virtual"] == true }
        /// The places from which it can be read, as the queues have it; ``FileReplicas`` is what counts.
        public internal(set) var rses: [String] {
            get { token["pool"]?["rses"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
            set { token.pool.members["rses"] = Self.list(newValue) }
        }
        /// When something last happened to it.
        public internal(set) var changed: Timestamp? {
            get { Timestamp(token["pool"]?["at"]) }
            set { token.pool.members["at"] = newValue?.json }
        }

        /// As Data Dispatcher writes it, without replicas.
        public var json: JSONObject {
            [
                "project_id": .integer(project), "namespace": .string(namespace), "name": .string(name),
                "state": .string(state.rawValue), "worker_id": workerID.map(JSON.string) ?? .null,
                "attempts": .integer(attempts), "attributes": .object(attributes),
                "reserved_since": reservedSince?.json ?? .null,
            ]
        }
    }
}
