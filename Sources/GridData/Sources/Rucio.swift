import CouchDB
import CouchDocument
import TokenPool

/// Rucio's REST interface as a source of replicas.
package struct Rucio: ReplicaSource {
    /// Where it is and how to sign in.
    package struct Settings: Sendable, Hashable {
        /// The source's name.
        package var name = "rucio"
        /// The server, with the authorities to trust.
        package var access: WebAccess
        /// The server for signing in, when it is another one.
        package var authURL: String?
        /// The account to act for.
        package var account: String?
        /// The virtual organisation, of servers that serve several.
        package var vo: String?
        /// How to sign in.
        package var signIn: SignIn
        /// Files in one request.
        package var batchSize = 100

        /// A server and how to sign in there.
        package init(access: WebAccess, signIn: SignIn) {
            self.access = access
            self.signIn = signIn
        }
    }

    /// How to sign in.
    package enum SignIn: Sendable, Hashable {
        /// Somebody else keeps a token in this file.
        case tokenFile(String)
        /// A name, and a file with the password.
        case password(user: String, file: String)
        /// The client certificate of the access.
        case certificate
    }

    private let settings: Settings
    private let service: WebService
    private let session: RucioSession

    /// A source; nothing is sent yet.
    package init(_ settings: Settings) throws {
        self.settings = settings
        service = try WebService(settings.access, kind: "Rucio")
        session = try RucioSession(settings)
    }

    package var name: String { settings.name }
    package var batchSize: Int { settings.batchSize }

    package func replicas(of files: [DID], schemes: [String]) async throws -> [DID: [Replica]] {
        try await list(files, schemes)
    }

    package func rses() async throws -> [SourceRSE] {
        try await signedIn { headers in
            var found: [SourceRSE] = []
            try await service.records("GET", "/rses/", headers: headers) { json in
                guard let name = json["rse"]?.stringValue else {
                    throw GridError(.badAnswer, "\(service.name): GET /rses/: a storage element without a name")
                }
                if json["deleted"]?.boolValue == true { return }
                found.append(SourceRSE(name: name, isTape: json["rse_type"]?.stringValue == "TAPE"))
            }
            return found
        }
    }

    /// Asks for files. Where Rucio refuses all because it does not know one, halves are asked for.
    private func list(_ files: [DID], _ schemes: [String]) async throws -> [DID: [Replica]] {
        if files.isEmpty { return [:] }
        do {
            return try await signedIn { try await ask(files, schemes, headers: $0) }
        } catch let error as GridError where error.word == "DataIdentifierNotFound" {
            if files.count == 1 { return [files[0]: []] }
            let half = files.count / 2
            let first = try await list(Array(files[..<half]), schemes)
            return try await list(Array(files[half...]), schemes).merging(first) { $1 }
        }
    }

    private func ask(
        _ files: [DID], _ schemes: [String], headers: [(String, String)]
    ) async throws -> [DID: [Replica]] {
        let asked = Set(files)
        var body: JSONObject = [
            "dids": .array(files.map { ["scope": .string($0.namespace), "name": .string($0.name)] }),
            "all_states": false, "ignore_availability": false,
        ]
        if !schemes.isEmpty { body["schemes"] = .array(schemes.map(JSON.string)) }
        let answer = try await service.stream(
            "POST", "/replicas/list", headers: headers, body: .json(.object(body)))
        // An answer that says how long it is can not end early without being noticed.
        let isFramed =
            answer.headers["content-length"] != nil
            || answer.headers["transfer-encoding"]?.lowercased().contains("chunked") == true
        var urls: [DID: [(rse: String, urls: [String])]] = [:]
        if isFramed { for file in files { urls[file] = [] } }
        var records = JSONRecords()
        func take(_ json: JSON) throws {
            if let text = json["ExceptionMessage"]?.stringValue {
                throw GridError(.unavailable, "\(service.name): POST /replicas/list: \(text.firstLine)")
            }
            guard let scope = json["scope"]?.stringValue, let name = json["name"]?.stringValue,
                let places = json["rses"]?.objectValue
            else {
                throw GridError(.badAnswer, "\(service.name): POST /replicas/list: a row without scope, name and rses")
            }
            guard let did = DID(namespace: scope, name: name), asked.contains(did) else { return }
            urls[did, default: []] += places.map { ($0.name, $0.value.arrayValue?.compactMap(\.stringValue) ?? []) }
        }
        do {
            for try await piece in answer.body { try records.feed(piece, take) }
            try records.finish()
        } catch let error as CouchDBError { throw service.failure(error) } catch let fault as JSONRecords.Fault {
            throw GridError(.badAnswer, "\(service.name): POST /replicas/list: \(fault)")
        }
        return urls.mapValues { places in
            var order: [String] = []
            var byRSE: [String: [String]] = [:]
            for (rse, urls) in places {
                if byRSE[rse] == nil { order.append(rse) }
                byRSE[rse, default: []] += urls
            }
            return order.compactMap { replica(at: $0, byRSE[$0] ?? [], schemes: schemes) }
        }
    }

    /// Does something with a token, and once more with a new one when it does not count any more.
    private func signedIn<Value>(_ body: ([(String, String)]) async throws -> Value) async throws -> Value {
        let token = try await session.token()
        do { return try await body(Self.headers(token)) } catch let error as GridError where error.code == .unauthorized
        {
            guard let next = try await session.token(replacing: token) else { throw error }
            return try await body(Self.headers(next))
        }
    }

    private static func headers(_ token: String) -> [(String, String)] {
        [("X-Rucio-Auth-Token", token), ("Accept", "application/x-json-stream")]
    }
}
