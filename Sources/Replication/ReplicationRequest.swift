import CouchDB
import CouchDocument
import Crypto

/// What is asked for: the body of `POST /_replicate`, or a document in `_replicator`, taken apart.
package struct ReplicationRequest: Sendable {
    let source: Endpoint
    let target: Endpoint
    let isContinuous: Bool
    let createsTarget: Bool
    /// Members of `create_target_params`, such as `q`.
    let creation: [(name: String, value: String)]
    let filter: ChangesQuery.Filter?
    /// Where to begin when there is no checkpoint.
    let since: String?
    /// Only winners.
    let isWinnersOnly: Bool
    let usesCheckpoints: Bool
    let checkpointInterval: Duration?
    let batchSize: Int
    let stall: Duration?
    /// What was asked, without what the replicator writes into a document itself.
    let fields: JSONObject

    init(_ json: JSON) throws {
        guard let object = json.objectValue else {
            throw ReplicationError.badRequest("Request body must be a JSON object")
        }
        func text(_ name: String) throws -> String? {
            guard let value = object[name], !value.isNull else { return nil }
            guard let text = value.stringValue else { throw ReplicationError.badRequest("`\(name)` must be a text") }
            return text
        }
        func flag(_ name: String) throws -> Bool? {
            guard let value = object[name] else { return nil }
            guard let flag = value.boolValue else { throw ReplicationError.badRequest("`\(name)` must be a boolean") }
            return flag
        }
        func count(_ name: String) throws -> Int? {
            guard let value = object[name] else { return nil }
            guard let count = value.intValue ?? value.stringValue.flatMap({ Int($0) }), count > 0 else {
                throw ReplicationError.badRequest("`\(name)` must be a positive integer")
            }
            return count
        }
        let proxy = try text("proxy")
        source = try Endpoint(object["source"], named: "source", proxy: try text("source_proxy") ?? proxy)
        target = try Endpoint(object["target"], named: "target", proxy: try text("target_proxy") ?? proxy)
        isContinuous = try flag("continuous") ?? false
        createsTarget = try flag("create_target") ?? false
        creation = (object["create_target_params"]?.objectValue ?? [:]).map { ($0, $1.stringValue ?? $1.description) }
        isWinnersOnly = try flag("winning_revs_only") ?? false
        usesCheckpoints = try flag("use_checkpoints") ?? true
        checkpointInterval = try count("checkpoint_interval").map { .milliseconds($0) }
        stall = try count("connection_timeout").map { .milliseconds($0) }
        batchSize = min(try count("worker_batch_size") ?? 500, 2000)
        since = object["since_seq"].flatMap { $0.isNull ? nil : $0.stringValue ?? $0.description }
        filter = try Self.filter(object)
        fields = JSONObject(
            object.filter { !$0.name.hasPrefix("_") && $0.name != "owner" }.map { ($0.name, $0.value) })
    }

    private static func filter(_ object: JSONObject) throws -> ChangesQuery.Filter? {
        let given = ["doc_ids", "filter", "selector"].filter { object[$0].map { !$0.isNull } ?? false }
        if given.count > 1 {
            throw ReplicationError.badRequest(
                given.map { "`\($0)`" }.joined(separator: " and ") + " exclude each other")
        }
        switch given.first {
        case "doc_ids":
            guard let list = object["doc_ids"]?.arrayValue else {
                throw ReplicationError.badRequest("`doc_ids` must be a list of texts")
            }
            let ids = try list.map { item in
                guard let id = item.stringValue else {
                    throw ReplicationError.badRequest("`doc_ids` must be a list of texts")
                }
                return id
            }
            return .documentIDs(Array(Set(ids)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        case "selector":
            guard let selector = object["selector"]?.objectValue else {
                throw ReplicationError.badRequest("`selector` must be an object")
            }
            return .selector(selector)
        case "filter":
            guard let name = object["filter"]?.stringValue, name.hasPrefix("_") || name.contains("/") else {
                throw ReplicationError.badRequest("`filter` must be of the form `designname/filtername`")
            }
            let parameters = object["query_params"]?.objectValue ?? [:]
            return .function(
                name,
                parameters: Dictionary(
                    parameters.map { ($0, $1.stringValue ?? $1.description) }, uniquingKeysWith: { $1 }))
        default: return nil
        }
    }

    /// The design document and the name of a filter function, whose text is part of the id: with another function it is
    /// another replication.
    var filterFunction: (design: String, name: String)? {
        guard case .function(let name, _) = filter, !name.hasPrefix("_"), let slash = name.firstIndex(of: "/") else {
            return nil
        }
        return (String(name[..<slash]), String(name[name.index(after: slash)...]))
    }

    /// The id: 32 hex digits that are the same for the same work, whatever the passwords are.
    ///
    /// CouchDB hashes Erlang terms with its own uuid among them, so no two servers ever agree on an id; only its form is
    /// common.
    func baseID(uuid: String, filterText: String?) -> String {
        var parts: [JSON] = [.string(uuid), source.identity, target.identity]
        switch filter {
        case nil: break
        case .documentIDs(let ids): parts.append(.array(ids.map(JSON.string)))
        case .selector(let selector): parts.append(.object(selector))
        case .function(let name, let parameters):
            parts.append(.string(filterText ?? name))
            parts.append(
                .array(parameters.sorted { $0.key < $1.key }.map { [.string($0.key), .string($0.value)] }))
        case .design, .view: break
        }
        if let since { parts.append(["since_seq", .string(since)]) }
        if isWinnersOnly { parts.append("winning_revs_only") }
        return hexadecimal(Insecure.MD5.hash(data: JSON.array(parts).encoded()))
    }

    /// What follows the base in the names of jobs.
    var idSuffix: String { (isContinuous ? "+continuous" : "") + (createsTarget ? "+create_target" : "") }
}
