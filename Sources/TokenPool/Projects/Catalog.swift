import CouchDB
public import CouchDocument
import Crypto

/// What a dispatcher must know before its first project: users, storage elements, replicas and how far they are.
public struct Catalog: Hashable, Sendable {
    /// Somebody who may sign in.
    public struct User: Hashable, Sendable {
        /// By this name.
        public var name: String
        /// With this password; `nil` keeps the one that there is.
        public var password: String?
        /// The roles that projects can be for.
        public var roles: [String]
        /// Whether everything is allowed.
        public var isAdmin: Bool
        /// What else there is to say: the full name, an address.
        public var details: JSONObject
    }
    /// A replica of a file.
    public struct Entry: Hashable, Sendable {
        /// The file.
        public var did: DID
        /// Where it is.
        public var replica: Replica
        /// Whether it was said that it can be read now, or not. Where it was not, a replica on tape can not.
        public var saysAvailability: Bool
    }

    /// The users.
    public private(set) var users: [User] = []
    /// The storage elements.
    public private(set) var rses: [RSE] = []
    /// The replicas.
    public private(set) var replicas: [Entry] = []
    /// How far; `nil` says nothing of it.
    public private(set) var proximity: ProximityMap?

    /// Reads a catalogue: `users`, `rses`, `replicas` and `proximity_map_cpu_rse_value`, any of which may be missing.
    ///
    /// - Throws: ``PoolError/Code/badInput`` with the first entry that is wrong.
    public init(_ json: JSON) throws {
        guard let members = json.objectValue else {
            throw PoolError(.badInput, "a catalogue is a JSON object, not a \(json.kind)")
        }
        users = try Self.list(members, "users", Self.user)
        rses = try Self.list(members, "rses", Self.rse)
        replicas = try Self.list(members, "replicas", Self.entry)
        if members["proximity_map_cpu_rse_value"] != nil {
            proximity = ProximityMap(
                try Self.list(members, "proximity_map_cpu_rse_value") { row in
                    guard let site = row[0]?.stringValue, let rse = row[1]?.stringValue, let value = row[2]?.intValue
                    else { throw Fault("want a list of site, RSE and a whole number") }
                    return (site, rse, value)
                })
        }
    }

    /// Takes over what was read elsewhere.
    init(rses: [RSE] = [], replicas: [Entry] = [], proximity: ProximityMap? = nil) {
        self.rses = rses
        self.replicas = replicas
        self.proximity = proximity
    }

    struct Fault: Error {
        let reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private static func list<Value>(
        _ members: JSONObject, _ name: String, _ read: (JSON) throws -> Value
    ) throws -> [Value] {
        guard let value = members[name], !value.isNull else { return [] }
        guard let list = value.arrayValue else {
            throw PoolError(.badInput, "\(name) must be a list, not a \(value.kind)")
        }
        return try list.enumerated().map { index, entry in
            do { return try read(entry) } catch let fault as Fault {
                throw PoolError(.badInput, "\(name), entry \(index + 1): \(fault.reason)")
            }
        }
    }

    private static func user(_ json: JSON) throws -> User {
        guard let name = json["username"]?.stringValue, !name.isEmpty else { throw Fault("username is missing") }
        guard !name.hasPrefix("_"), !name.contains(":") else {
            throw Fault("\"\(name)\" can not be a name: no colon, and no underscore at its beginning")
        }
        var details: JSONObject = [:]
        details["full_name"] = json["name"]
        details["email"] = json["email"]
        // The names in their certificates, and how issuers of tokens call them.
        details["x509"] = json["x509"]
        details["anonymous_id"] = json["anonymous_id"]
        return User(
            name: name, password: json["password"]?.stringValue,
            roles: json["roles"]?.arrayValue?.compactMap(\.stringValue) ?? [],
            isAdmin: json["admin"]?.boolValue ?? false, details: details)
    }

    static func rse(_ json: JSON) throws -> RSE {
        guard let name = json["name"]?.stringValue, !name.isEmpty else { throw Fault("name is missing") }
        var rse = RSE(name: name)
        var values = json.objectValue ?? [:]
        if let kind = values["type"] { values["interface"] = kind }
        do { try rse.set(values) } catch let error as PoolError { throw Fault(error.reason) }
        return rse
    }

    static func entry(_ json: JSON) throws -> Entry {
        guard let namespace = json["namespace"]?.stringValue, let name = json["name"]?.stringValue,
            let did = DID(namespace: namespace, name: name)
        else { throw Fault("namespace (without a colon) and name are wanted") }
        guard let rse = json["rse"]?.stringValue, !rse.isEmpty else { throw Fault("rse is missing") }
        guard let replica = Replica(rse: rse, json) else { throw Fault("url is missing") }
        return Entry(did: did, replica: replica, saysAvailability: json["available"]?.boolValue != nil)
    }

    /// The realm of digest sign-in, as the clients' library has it.
    package static let digestRealm = "metacat"

    /// What digest sign-in keeps of a password: its MD5 with name and realm.
    package static func digestSecret(_ name: String, _ password: String) -> String {
        hexadecimal(Insecure.MD5.hash(data: Array("\(name):\(digestRealm):\(password)".utf8)))
    }
}

/// What loading a catalogue did.
public struct CatalogReport: Hashable, Sendable {
    /// Users made or changed.
    public var users = 0
    /// Storage elements made or changed.
    public var rses = 0
    /// Files whose replicas changed.
    public var files = 0
    /// Replicas that the catalogue names.
    public var replicas = 0

    /// Puts two together.
    mutating func add(_ other: CatalogReport) {
        users += other.users
        rses += other.rses
        files += other.files
        replicas += other.replicas
    }

    /// The report as data.
    public var json: JSON {
        [
            "users": .integer(users), "rses": .integer(rses), "files": .integer(files), "replicas": .integer(replicas),
        ]
    }
}

extension Projects {
    /// Takes over a catalogue: adds what is missing and changes what is there; nothing goes.
    ///
    /// - Parameter withDigest: Whether to keep what digest sign-in needs of each password; it is weaker than what is kept
    ///   anyway.
    public func load(_ catalog: Catalog, withDigest: Bool = false) async throws -> CatalogReport {
        var report = CatalogReport()
        for rse in catalog.rses {
            if try await create(rse) == nil { _ = try await change(rse: rse.name, rse.document.fields) }
            report.rses += 1
        }
        if let proximity = catalog.proximity { try await save(proximity) }
        if !catalog.replicas.isEmpty {
            let tapes = Set(try await rses().filter(\.isTape).map(\.name))
            report.files = try await add(
                catalog.replicas.map { entry in
                    var replica = entry.replica
                    if !entry.saysAvailability, tapes.contains(replica.rse) { replica.isAvailable = false }
                    return (entry.did, replica)
                })
            report.replicas = catalog.replicas.count
        }
        for user in catalog.users {
            try await save(user, withDigest: withDigest)
            report.users += 1
        }
        let admins = catalog.users.filter(\.isAdmin).map(\.name)
        if !admins.isEmpty { try await database.allow(names: admins, asAdmins: true) }
        return report
    }

    private func save(_ user: Catalog.User, withDigest: Bool) async throws {
        let users = database.server.database("_users")
        var document =
            try await database.server.user(user.name)
            ?? Document(id: "org.couchdb.user:" + user.name, fields: ["name": .string(user.name), "type": "user"])
        document.fields.merge(user.details)
        document["roles"] = .array(user.roles.map(JSON.string))
        if let password = user.password {
            document["password"] = .string(password)
            document["digest"] =
                withDigest
                ? .object(JSONObject([(Catalog.digestRealm, .string(Catalog.digestSecret(user.name, password)))])) : nil
        }
        try await users.save(document)
    }
}
