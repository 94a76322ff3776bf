public import CouchDocument

/// A file that a project is to have.
public struct ProjectFile: Hashable, Sendable {
    /// The file.
    public var did: DID
    /// What workers are told with it.
    public var attributes: JSONObject

    /// A file with attributes.
    public init(_ did: DID, attributes: JSONObject = [:]) {
        self.did = did
        self.attributes = attributes
    }
}

/// What a project is to be.
public struct ProjectDraft: Hashable, Sendable {
    /// Its files, each once.
    public var files: [ProjectFile]
    /// What workers are told with each file, and what changes how it runs: `virtual`, `retry_on_timeout`, `max_attempts`.
    public var attributes: JSONObject
    /// The query that found the files, for people.
    public var query: String?
    /// The project whose files these are, for people.
    public var copyOf: Int?
    /// How long a worker may have a file; `nil` as long as it likes.
    public var workerTimeout: Duration?
    /// How long nothing may happen; `nil` for ever.
    public var idleTimeout: Duration?
    /// Who may work on it, beside its owner.
    public var users: [String]
    /// Whose members may work on it.
    public var roles: [String]

    /// A project of these.
    public init(
        files: [ProjectFile], attributes: JSONObject = [:], query: String? = nil, workerTimeout: Duration? = nil,
        idleTimeout: Duration? = nil, users: [String] = [], roles: [String] = []
    ) {
        self.files = files
        self.attributes = attributes
        self.query = query
        self.workerTimeout = workerTimeout
        self.idleTimeout = idleTimeout
        self.users = users
        self.roles = roles
    }

    /// Refuses a file that is there twice.
    func check() throws {
        var seen: Set<DID> = []
        for file in files where !seen.insert(file.did).inserted {
            throw PoolError(.badInput, "file \"\(file.did)\" is in the list twice: nothing was created")
        }
    }
}
