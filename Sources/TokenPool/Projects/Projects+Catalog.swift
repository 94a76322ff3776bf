import CouchDB
public import CouchDocument

extension Projects {
    /// The storage elements and the proximity map.
    func sites() async throws -> Sites {
        let rses = try await rses()
        let map = try await database.documentIfPresent(ProximityMap.documentID).map(ProximityMap.init)
        return Sites(
            rses: Dictionary(rses.map { ($0.name, $0) }, uniquingKeysWith: { $1 }), proximity: map ?? ProximityMap())
    }

    /// The storage elements by name.
    public func rses() async throws -> [RSE] {
        var query = ViewQuery(startKey: .string(RSE.prefix), endKey: .string(RSE.prefix + "\u{fff0}"))
        query.includeDocuments = true
        return try await database.allDocuments(query).rows.compactMap { $0.document.flatMap(RSE.init) }
            .sorted { $0.name < $1.name }
    }

    /// The storage element of that name. `nil` when there is none.
    public func rse(_ name: String) async throws -> RSE? {
        try await database.documentIfPresent(RSE.documentID(name)).flatMap(RSE.init)
    }

    /// Makes a storage element.
    ///
    /// - Returns: `nil` when there is one of that name.
    public func create(_ rse: RSE) async throws -> RSE? {
        var rse = rse
        do {
            rse.document.revision = try await database.save(rse.document)
            return rse
        } catch CouchDBError.conflict { return nil }
    }

    /// Changes a storage element as it stands now; takes effect with the next reservation.
    ///
    /// - Returns: The storage element afterwards; `nil` when there is none.
    public func change(rse name: String, _ values: JSONObject) async throws -> RSE? {
        for _ in 0..<Pool.patience {
            guard var rse = try await rse(name) else { return nil }
            let before = rse
            try rse.set(values)
            if rse == before { return rse }
            do {
                rse.document.revision = try await database.save(rse.document)
                return rse
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "changing RSE \"\(name)\": others changed it each time; try again")
    }

    /// Removes a storage element. Replicas there can not be read any more.
    ///
    /// - Returns: Whether there was one.
    public func delete(rse name: String) async throws -> Bool {
        for _ in 0..<Pool.patience {
            guard let revision = try await rse(name)?.document.revision else { return false }
            do {
                try await database.delete(RSE.documentID(name), revision: revision)
                return true
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "deleting RSE \"\(name)\": others changed it each time; try again")
    }

    /// Replaces the proximity map.
    public func save(_ map: ProximityMap) async throws {
        for _ in 0..<Pool.patience {
            var document =
                try await database.documentIfPresent(ProximityMap.documentID)
                ?? Document(id: ProximityMap.documentID, fields: ["type": "proximity"])
            if document["rows"] == map.record { return }
            document["rows"] = map.record
            do {
                try await database.save(document)
                return
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "writing the proximity map: others changed it each time; try again")
    }

    /// Adds replicas to those that are known; one of the same file at the same storage element is replaced. Files of
    /// projects that wait for one can be reserved afterwards.
    ///
    /// - Returns: How many files have other replicas than before.
    public func add(_ replicas: [(did: DID, replica: Replica)]) async throws -> Int {
        var order: [DID] = []
        var byFile: [DID: [Replica]] = [:]
        for (did, replica) in replicas {
            if byFile[did] == nil { order.append(did) }
            byFile[did, default: []].append(replica)
        }
        var count = 0
        for start in stride(from: 0, to: order.count, by: Self.batchSize) {
            let some = Array(order[start..<min(start + Self.batchSize, order.count)])
            count += try await change(replicas: some) { index, file in file.merge(byFile[some[index]] ?? []) }
        }
        return count
    }

    /// Changes the replicas of files as they stand now, again while others change them; files whose replicas stay as they
    /// are cost no write. Projects hear of it where a file can now be read somewhere else than before.
    ///
    /// - Parameters:
    ///   - dids: At most a batch of them.
    ///   - edit: Gets the place in `dids` and the file's replicas; answers whether it changed anything.
    /// - Returns: How many files have other replicas than before.
    func change(replicas dids: [DID], _ edit: (Int, inout FileReplicas) -> Bool) async throws -> Int {
        var open = Array(dids.indices)
        var count = 0
        for _ in 0..<Pool.patience where !open.isEmpty {
            let now = now
            var writes: [(index: Int, file: FileReplicas)] = []
            for (index, file) in zip(open, try await self.replicas(of: open.map { dids[$0] })) {
                var file = file
                let before = file.readableRSEs
                guard edit(index, &file) else { continue }
                file.document["changed"] = now.json
                // Until the queues know: whoever finds this later finishes it.
                if file.readableRSEs != before { file.document["spread"] = (now + Self.trust).json }
                writes.append((index, file))
            }
            open = []
            var written: [FileReplicas] = []
            for (write, outcome) in zip(writes, try await database.bulkSave(writes.map(\.file.document))) {
                switch outcome {
                case .saved(_, let revision, _):
                    var file = write.file
                    file.document.revision = revision
                    written.append(file)
                case .failed(_, let error) where error.code == .conflict: open.append(write.index)
                case .failed(_, let error): throw error
                }
            }
            count += written.count
            try await spread(written.filter { $0.document["spread"] != nil })
        }
        guard open.isEmpty else {
            throw PoolError(.contended, "writing replicas: others changed them each time; try again")
        }
        return count
    }

    /// Finishes what somebody began who changed replicas.
    func spread(_ ids: [String], _ now: Timestamp, _ report: inout SweepReport) async throws {
        guard !ids.isEmpty else { return }
        let files = try await database.documents(ids).compactMap { $0.flatMap(FileReplicas.init) }
        try await spread(files.filter { (Timestamp($0.document["spread"]) ?? now + .seconds(1)) <= now })
        report.finishedReplicas += files.map(\.document.id)
    }

    /// Tells the files of all projects where they can be read now, and strikes the mark out.
    private func spread(_ files: [FileReplicas]) async throws {
        guard !files.isEmpty else { return }
        let readable = Dictionary(files.map { ($0.did, $0.readableRSEs) }, uniquingKeysWith: { $1 })
        for _ in 0..<Pool.patience {
            var query = ViewQuery(keys: files.map { [.string($0.did.namespace), .string($0.did.name)] })
            query.includeDocuments = true
            query.reduce = false
            let stale = try await view(.fileNames, query).rows.compactMap {
                $0.document.flatMap { Project.FileHandle($0) }
            }
            .compactMap { file -> Document? in
                guard let rses = file.did.flatMap({ readable[$0] }), rses != file.rses, file.state.isOpen else {
                    return nil
                }
                var file = file
                file.rses = rses
                return file.token.document
            }
            if stale.isEmpty { break }
            var lost = 0
            for start in stride(from: 0, to: stale.count, by: Self.batchSize) {
                let some = Array(stale[start..<min(start + Self.batchSize, stale.count)])
                lost += try await database.bulkSave(some).count { $0.error != nil }
            }
            if lost == 0 { break }
        }
        let marked = files.map { file in
            var file = file
            file.document["spread"] = nil
            return file.document
        }
        // Who lost this write to another change leaves the mark to the other.
        _ = try await database.bulkSave(marked)
    }
}
