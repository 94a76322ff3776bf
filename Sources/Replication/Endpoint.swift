import CouchDB
import CouchDocument
import Logging

/// One side of a replication: a database of this server by its name, or any by its URL.
package struct Endpoint: Sendable {
    /// Where it is.
    enum Place: Hashable, Sendable {
        /// On this server, by name.
        case local(String)
        /// Elsewhere: the server's URL without name and password, and the database's name.
        case remote(server: String, database: String)
    }

    let place: Place
    /// Who signs in at a remote one.
    let user: String?
    private let credentials: Credentials?
    private let headers: [(name: String, value: String)]
    private let proxy: String?

    /// Reads `source` or `target` of a request: a name, a URL, or an object with `url`, `headers` and `auth`.
    init(_ json: JSON?, named side: String, proxy: String?) throws {
        guard let json else { throw ReplicationError.badRequest("the `\(side)` is missing") }
        let address = try Self.address(json, side)
        headers = try Self.headers(json["headers"], side)
        self.proxy = proxy
        guard address.hasPrefix("http://") || address.hasPrefix("https://") else {
            guard !address.isEmpty, !address.contains("://") else {
                throw ReplicationError.badRequest("the `\(side)` must be the name or the http(s) URL of a database")
            }
            place = .local(address)
            (user, credentials) = (nil, nil)
            return
        }
        let (server, database) = try Self.split(address, side)
        do {
            let configuration = try ServerConfiguration(url: server)
            place = .remote(server: configuration.url, database: database)
            var pair = Self.basicPair(of: server)
            if let basic = json["auth"]?["basic"] {
                guard let name = basic["username"]?.stringValue, let word = basic["password"]?.stringValue else {
                    throw ReplicationError.badRequest(
                        "`auth.basic` of the `\(side)` must have `username` and `password`")
                }
                pair = (name, word)
            }
            user = pair?.name
            credentials = pair.map { .basic(user: $0.name, password: $0.password) }
        } catch let error as CouchDBError {
            throw ReplicationError.badRequest("the `\(side)` is no URL of a database: \(error.reason)")
        }
    }

    private static func address(_ json: JSON, _ side: String) throws -> String {
        if let text = json.stringValue { return text }
        guard let text = json["url"]?.stringValue else {
            throw ReplicationError.badRequest("the `\(side)` must be a text or an object with a `url`")
        }
        return text
    }

    private static func headers(_ json: JSON?, _ side: String) throws -> [(name: String, value: String)] {
        guard let json else { return [] }
        guard let object = json.objectValue else {
            throw ReplicationError.badRequest("`headers` of the `\(side)` must be an object")
        }
        return try object.map { name, value in
            guard let text = value.stringValue, !text.utf8.contains(where: { $0 < 0x20 }), !name.isEmpty,
                name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") })
            else { throw ReplicationError.badRequest("`headers` of the `\(side)`: \"\(name)\" is no header field") }
            return (name, text)
        }
    }

    /// Takes the last segment of the path for the database.
    private static func split(_ address: String, _ side: String) throws -> (server: String, database: String) {
        var text = address[...]
        while text.hasSuffix("/") { text.removeLast() }
        guard let scheme = text.firstRange(of: "://"), let slash = text.lastIndex(of: "/"), slash >= scheme.upperBound,
            let name = String(text[text.index(after: slash)...]).percentDecoded, !name.isEmpty
        else { throw ReplicationError.badRequest("the URL of the `\(side)` must end in the name of a database") }
        return (String(text[..<slash]), name)
    }

    /// Name and password before the `@`.
    private static func basicPair(of server: String) -> (name: String, password: String)? {
        guard let start = server.firstRange(of: "://")?.upperBound else { return nil }
        let authority = server[start...].prefix { $0 != "/" }
        guard let at = authority.lastIndex(of: "@") else { return nil }
        let halves = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let name = String(halves[0]).percentDecoded,
            let password = halves.count > 1 ? String(halves[1]).percentDecoded : ""
        else { return nil }
        return (name, password)
    }

    /// What tells this endpoint from others, without password.
    var identity: JSON {
        switch place {
        case .local(let name): ["local", .string(name)]
        case .remote(let server, let database):
            [
                "remote", .string(server), .string(database), user.map(JSON.string) ?? .null,
                .array(
                    headers.filter { $0.name.lowercased() != "authorization" }
                        .map { [.string($0.name.lowercased()), .string($0.value)] }),
            ]
        }
    }

    /// As the pages show it: the password as stars.
    var shown: String {
        switch place {
        case .local(let name): return name
        case .remote(let server, let database):
            let path = "/\(database.percentEncodedSegment)/"
            guard let user, let start = server.firstRange(of: "://")?.upperBound else { return server + path }
            return "\(server[..<start])\(user.percentEncodedSegment):*****@\(server[start...])\(path)"
        }
    }

    /// Where it is, for errors: neither name nor password.
    var placeText: String {
        switch place {
        case .local(let name): name
        case .remote(let server, let database): "\(server)/\(database.percentEncodedSegment)/"
        }
    }

    /// The proxy without what may stand before its `@`; `nil` when there is none.
    var shownProxy: String? {
        guard let proxy else { return nil }
        guard let start = proxy.firstRange(of: "://")?.upperBound, let at = proxy.lastIndex(of: "@"), at >= start else {
            return proxy
        }
        return String(proxy[..<start] + proxy[proxy.index(after: at)...])
    }

    /// A client of the database.
    ///
    /// - Parameter stall: How long the other side may be silent.
    func open(_ access: LocalAccess, as account: ReplicationAccount, stall: Duration?, logger: Logger) throws
        -> Database
    {
        var configuration: ServerConfiguration
        let name: String
        switch place {
        case .local(let database):
            configuration = try ServerConfiguration(url: access.url)
            configuration.credentials = .bearer(token: access.token(account))
            // This server itself, whatever its certificate names.
            configuration.tls.unverifiedHost = access.host
            // A proxy of the environment is for the world outside.
            configuration.proxy = ""
            name = database
        case .remote(let server, let database):
            configuration = try ServerConfiguration(url: server)
            configuration.credentials = credentials
            configuration.headers = headers
            configuration.proxy = proxy
            name = database
        }
        if let stall { configuration.timeouts.stall = stall }
        configuration.logger = logger
        return try Server(configuration).database(name)
    }
}

/// Who asked for a replication: its local databases are opened in this name.
package struct ReplicationAccount: Hashable, Sendable {
    /// `nil`: nobody who signed in.
    package let name: String?
    package let roles: [String]

    package init(name: String?, roles: [String]) {
        self.name = name
        self.roles = roles
    }

    /// The replicator itself, for its own documents.
    static let server = ReplicationAccount(name: "_replicator", roles: ["_admin", "_replicator"])

    var isAdmin: Bool { roles.contains("_admin") }
}

/// How this server is reached from itself.
package struct LocalAccess: Sendable {
    /// Its URL on loopback.
    package let url: String
    /// The host of that, which is not verified.
    package let host: String?
    /// Its id, part of the ids of replications.
    package let uuid: String
    /// A bearer token that signs in as that account.
    package let token: @Sendable (ReplicationAccount) -> String
    /// Who has that name now; `nil` when nobody does.
    package let account: @Sendable (String) async throws -> ReplicationAccount?
    /// The databases whose documents are replications, now and whenever there are others.
    package let databases: @Sendable () -> AsyncStream<Set<String>>
    /// How many replications run at once.
    package let schedule: @Sendable () -> ReplicationSchedule

    package init(
        url: String, host: String? = nil, uuid: String, token: @escaping @Sendable (ReplicationAccount) -> String,
        account: @escaping @Sendable (String) async throws -> ReplicationAccount?,
        databases: @escaping @Sendable () -> AsyncStream<Set<String>>,
        schedule: @escaping @Sendable () -> ReplicationSchedule
    ) {
        self.url = url
        self.host = host
        self.uuid = uuid
        self.token = token
        self.account = account
        self.databases = databases
        self.schedule = schedule
    }
}

extension String {
    /// `%41` to `A`; `nil` for a bad escape or what is no UTF-8.
    fileprivate var percentDecoded: String? {
        var bytes: [UInt8] = []
        var rest = utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16), rest.count >= 2 else {
                return nil
            }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
