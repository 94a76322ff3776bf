import CouchDB
import CouchDocument

// For those who keep replicas up to date: which files to ask for, and what to do with what they hear.

/// What sources of replicas say of a file.
public struct SourceWord: Hashable, Sendable {
    /// The file.
    public var did: DID
    /// Its replicas, each with its source; of two at one storage element the first counts.
    public var replicas: [Replica]
    /// The sources that said all that they know of it: what they do not name any more goes.
    public var complete: Set<String>

    /// A word of these parts.
    public init(_ did: DID, replicas: [Replica], complete: Set<String>) {
        self.did = did
        self.replicas = replicas
        self.complete = complete
    }
}

extension FileReplicas {
    /// Takes over what sources say. Storage elements that are not enabled, or that nobody knows, are left as they are; a
    /// replica on tape stays as available as it was, for that is not for catalogues to say.
    ///
    /// - Returns: Whether that changes anything.
    mutating func hear(_ word: SourceWord, at rses: [String: RSE]) -> Bool {
        let before = document["replicas"]
        var members = before?.objectValue ?? [:]
        var named: Set<String> = []
        for replica in word.replicas where named.insert(replica.rse).inserted {
            guard let rse = rses[replica.rse], rse.isEnabled else { continue }
            var replica = replica
            let known = members[replica.rse].flatMap { Replica(rse: replica.rse, $0) }
            if rse.isTape {
                replica.isAvailable = known?.isAvailable ?? false
                replica.staging = known?.staging
            }
            members[replica.rse] = replica.record
        }
        for member in before?.objectValue ?? [:] where !named.contains(member.name) {
            guard let source = member.value["source"]?.stringValue, word.complete.contains(source),
                rses[member.name]?.isEnabled ?? true
            else { continue }
            members[member.name] = nil
        }
        document["replicas"] = .object(members)
        return document["replicas"] != before
    }
}

extension Projects {
    /// The projects whose files are wanted somewhere: active, and not virtual.
    public func wanting() async throws -> [Project] {
        try await list(Selection(state: .active)).filter { !$0.isVirtual }
    }

    /// The numbers of the active projects: one look into a view, without their documents.
    public func activeNumbers() async throws -> Set<Int> {
        var query = ViewQuery(startKey: ["", "active"], endKey: ["", "active", [:]])
        query.reduce = false
        return Set(try await view(.projects, query).rows.compactMap { $0.key[2]?.intValue })
    }

    /// The files of a project with which there is still something to do, some hundred at a time.
    public func eachOpenPage(
        of number: Int, isolation: isolated (any Actor)? = #isolation, _ body: ([DID]) async throws -> Void
    ) async throws {
        // The id names the file, so that no document need be read.
        let prefix = "file_\(number)_".utf8.count
        for state in [FileState.initial, .reserved] {
            let key: [JSON] = [.integer(number), .string(state.rawValue)]
            var query = ViewQuery(startKey: .array(key), endKey: .array(key + [[:]]))
            query.reduce = false
            query.limit = Self.batchSize
            while true {
                let rows = try await view(.projectFiles, query).rows
                let dids = rows.compactMap { row in
                    row.id.flatMap { DID(String(decoding: $0.utf8.dropFirst(prefix), as: UTF8.self)) }
                }
                if !dids.isEmpty { try await body(dids) }
                guard rows.count == Self.batchSize, let last = rows.last, let id = last.id else { break }
                query.startKey = last.key
                query.startKeyDocumentID = id + "\u{0}"
            }
        }
    }

    /// Which of these files some project still wants.
    ///
    /// - Parameter active: The projects that count.
    public func wanted(_ dids: [DID], by active: Set<Int>) async throws -> Set<DID> {
        var found: Set<DID> = []
        for start in stride(from: 0, to: dids.count, by: Self.batchSize) {
            let some = dids[start..<min(start + Self.batchSize, dids.count)]
            var query = ViewQuery(keys: some.map { [.string($0.namespace), .string($0.name)] })
            query.reduce = false
            for row in try await view(.fileNames, query).rows {
                guard let number = row.id.flatMap(Self.number), active.contains(number),
                    let namespace = row.key[0]?.stringValue, let name = row.key[1]?.stringValue,
                    let did = DID(namespace: namespace, name: name)
                else { continue }
                found.insert(did)
            }
        }
        return found
    }

    /// The number of the project in a file's id.
    private static func number(in id: String) -> Int? {
        guard id.hasPrefix("file_") else { return nil }
        return Int(id.dropFirst(5).prefix { $0 != "_" })
    }

    /// Takes over what sources say of files: only what is different is written.
    ///
    /// - Returns: How many files have other replicas than before.
    @discardableResult
    public func hear(_ words: [SourceWord], at rses: [String: RSE]) async throws -> Int {
        var count = 0
        for start in stride(from: 0, to: words.count, by: Self.batchSize) {
            let some = Array(words[start..<min(start + Self.batchSize, words.count)])
            count += try await change(replicas: some.map(\.did)) { $1.hear(some[$0], at: rses) }
        }
        return count
    }

    /// Changes single replicas as they stand now.
    ///
    /// - Parameters:
    ///   - rse: The storage element.
    ///   - edit: Gets the replica there of a file that has one.
    /// - Returns: How many files have other replicas than before.
    @discardableResult
    public func change(
        _ dids: [DID], at rse: String, _ edit: (DID, inout Replica) -> Void
    ) async throws -> Int {
        var count = 0
        for start in stride(from: 0, to: dids.count, by: Self.batchSize) {
            let some = Array(dids[start..<min(start + Self.batchSize, dids.count)])
            count += try await change(replicas: some) { index, file in
                guard var replica = file.replicas.first(where: { $0.rse == rse }) else { return false }
                let before = replica
                edit(some[index], &replica)
                return replica != before && file.merge([replica])
            }
        }
        return count
    }

    /// When replicas of any file last changed.
    public func lastReplicaChange() async throws -> Timestamp? {
        var query = ViewQuery()
        query.descending = true
        query.limit = 1
        query.reduce = false
        return try await view(.changedReplicas, query).rows.first.flatMap { Timestamp($0.key) }
    }

    /// The files whose replicas changed since then, some hundred at a time, with those replicas.
    public func eachChange(
        since: Timestamp, isolation: isolated (any Actor)? = #isolation,
        _ body: ([(did: DID, replicas: [Replica])]) async throws -> Void
    ) async throws {
        var query = ViewQuery(startKey: since.json, endKey: nil)
        query.includeDocuments = true
        query.reduce = false
        query.limit = Self.batchSize
        while true {
            let rows = try await view(.changedReplicas, query).rows
            let files = rows.compactMap { $0.document.flatMap(FileReplicas.init) }.map { ($0.did, $0.replicas) }
            if !files.isEmpty { try await body(files) }
            guard rows.count == Self.batchSize, let last = rows.last, let id = last.id else { return }
            query.startKey = last.key
            query.startKeyDocumentID = id + "\u{0}"
        }
    }
}
