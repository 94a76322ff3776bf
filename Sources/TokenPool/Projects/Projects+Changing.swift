import CouchDB
public import CouchDocument

extension Projects {
    /// Ends the project if none of its files is open. Any number may try at once: one of those whose change was the last
    /// sees that it was.
    ///
    /// - Parameter known: The project as it was before the change; `nil` reads it.
    /// - Returns: The project afterwards, `nil` when there is none, and how its files were counted.
    @discardableResult
    public func settle(_ number: Int, known: Project? = nil) async throws -> (project: Project?, counts: FileCounts) {
        var counts: FileCounts?
        let project = try await change(number, known: known) { project in
            // Counted after the project was read: whoever opens a file again writes the project afterwards, so that one of
            // the two writes is lost.
            let counted = try await self.counts(of: number)
            counts = counted
            return project.end(counted, at: now)
        }
        return (project, counts ?? FileCounts())
    }

    /// Ends all projects that nobody ended when their last file came to its end, because whoever should have was no more.
    ///
    /// A look at each active project: for when a server starts, and now and then.
    ///
    /// - Returns: The numbers of those that ended now.
    public func settleAll() async throws -> [Int] {
        var ended: [Int] = []
        var query = ViewQuery(startKey: ["", "active"], endKey: ["", "active", [:]])
        query.reduce = false
        query.limit = Self.batchSize
        while true {
            let rows = try await view(.projects, query).rows
            for number in rows.compactMap({ $0.key[2]?.intValue }) {
                let counts = try await counts(of: number)
                guard counts.total > 0, counts.open == 0 else { continue }
                if let project = try await settle(number).project, project.state != .active { ended.append(number) }
            }
            guard rows.count == Self.batchSize, let last = rows.last, let id = last.id else { return ended }
            query.startKey = last.key
            query.startKeyDocumentID = id + "\u{0}"
        }
    }

    /// Ends the project. Files that are reserved can still be given back.
    ///
    /// - Parameter by: Who does it, for the log.
    /// - Returns: The project afterwards; `nil` when there is none.
    public func cancel(_ number: Int, by: String? = nil) async throws -> Project? {
        try await change(number) { $0.cancel(at: now, by: by) }
    }

    /// Makes the project active, whatever it was.
    ///
    /// - Parameter by: Who does it, for the log.
    /// - Returns: The project afterwards; `nil` when there is none.
    public func activate(_ number: Int, by: String? = nil) async throws -> Project? {
        try await change(number) { $0.activate(at: now, by: by) }
    }

    /// Makes an abandoned project active: a worker came back to it.
    func wake(_ number: Int) async throws -> Project? { try await change(number) { $0.wake(at: now) } }

    /// Which files of a project to put back.
    public enum Restart: Hashable, Sendable {
        /// Those in these states.
        case states(Set<FileState>)
        /// These, whatever their state.
        case files([DID])
    }

    /// Puts files back to initial; a project that ended is active again when that gives it something to do.
    ///
    /// - Parameter by: Who does it, for the log.
    /// - Returns: The project afterwards; `nil` when there is none.
    /// - Throws: ``PoolError/Code/badInput`` when a file is not in the project; then nothing was put back.
    public func restart(_ number: Int, _ which: Restart, by: String? = nil) async throws -> Project? {
        guard try await project(number) != nil else { return nil }
        var count = 0
        switch which {
        case .states(let states):
            try await eachPage(of: number) { files in
                count += try await putBack(files.filter { states.contains($0.state) && $0.state != .initial })
            }
        case .files(let dids):
            let files = try await self.files(dids, of: number)
            if let missing = zip(dids, files).first(where: { $1 == nil })?.0 {
                throw PoolError(.badInput, "file \"\(missing)\" is not in project \(number): nothing was put back")
            }
            for start in stride(from: 0, to: files.count, by: Self.batchSize) {
                let some = files[start..<min(start + Self.batchSize, files.count)].compactMap { $0 }
                count += try await putBack(some)
            }
        }
        guard count > 0 else { return try await project(number) }
        return try await change(number) { project in
            project.restart(count, try await counts(of: number), at: now, by: by)
            return true
        }
    }

    /// The files of these names in a project, in their order.
    func files(_ dids: [DID], of number: Int) async throws -> [Project.FileHandle?] {
        var files: [Project.FileHandle?] = []
        for start in stride(from: 0, to: dids.count, by: Self.batchSize) {
            let some = dids[start..<min(start + Self.batchSize, dids.count)]
            files += try await database.documents(some.map { Project.FileHandle.documentID(number, $0) })
                .map { $0.flatMap { Project.FileHandle($0) } }
        }
        return files
    }

    /// Puts files back whoever holds them; one that somebody changes meanwhile is read again.
    private func putBack(_ files: [Project.FileHandle]) async throws -> Int {
        var open = files
        var count = 0
        for _ in 0..<Pool.patience where !open.isEmpty {
            // Nobody kept the queues up to date for files that had ended.
            let places = try await replicas(of: open.compactMap(\.did)).map { ($0.did, $0.readableRSEs) }
            let readable = Dictionary(places, uniquingKeysWith: { $1 })
            let now = now
            let changed = open.map { file in
                var file = file
                file.restart(at: now)
                if !file.isVirtual { file.rses = file.did.flatMap { readable[$0] } ?? [] }
                return file.token.document
            }
            var lost: [String] = []
            for outcome in try await database.bulkSave(changed) {
                switch outcome {
                case .saved: count += 1
                case .failed(let id, let error) where error.code == .conflict: lost.append(id)
                case .failed(_, let error): throw error
                }
            }
            open = try await database.documents(lost).compactMap { $0.flatMap { Project.FileHandle($0) } }
        }
        guard open.isEmpty else {
            throw PoolError(.contended, "putting back files: others changed them each time; try again")
        }
        return count
    }

    /// Makes a project with the same files; theirs and its attributes can be overridden.
    ///
    /// - Parameters:
    ///   - workerTimeout: `nil` keeps that of the project, `.some(nil)` has none.
    ///   - idleTimeout: The same.
    /// - Returns: The new project and its files; `nil` when there is no such project.
    public func copy(
        _ number: Int, owner: String, attributes: JSONObject = [:], fileAttributes: JSONObject = [:],
        workerTimeout: Duration?? = nil, idleTimeout: Duration?? = nil
    ) async throws -> (project: Project, files: [Project.FileHandle])? {
        guard let project = try await project(number) else { return nil }
        var files: [ProjectFile] = []
        try await eachPage(of: number) { page in
            for file in page {
                guard let did = file.did else { continue }
                var own = file.attributes
                // How often it timed out is the other project's story.
                own["timeouts"] = nil
                own.merge(fileAttributes)
                files.append(ProjectFile(did, attributes: own))
            }
        }
        var draft = ProjectDraft(files: files, attributes: project.attributes, query: project.query)
        draft.copyOf = number
        draft.attributes.merge(attributes)
        draft.workerTimeout = workerTimeout ?? project.workerTimeout
        draft.idleTimeout = idleTimeout ?? project.idleTimeout
        return try await create(draft, owner: owner)
    }

    /// Deletes a project with all its files, whatever its state. It is gone for readers at once.
    ///
    /// - Parameter condition: What must hold for the project as it stands now.
    /// - Returns: Whether there was one, and it was meant.
    public func delete(_ number: Int, if condition: (Project) -> Bool = { _ in true }) async throws -> Bool {
        let until = now + Self.trust
        let project = try await change(number) { project in
            guard condition(project) else { return false }
            project.delete(trustedUntil: until)
            return true
        }
        guard project?.state == .deleting else { return false }
        _ = try await remove(number)
        return true
    }

    /// Removes what is left of a project that nobody sees: its files, then its document.
    ///
    /// - Returns: Whether there was anything.
    func remove(_ number: Int) async throws -> Bool {
        let id = Project.documentID(number)
        guard let document = try await database.documentIfPresent(id), var project = Project(document) else {
            return false
        }
        if project.state != .deleting {
            project.delete(trustedUntil: now + Self.trust)
            project.document.revision = try await database.save(project.document)
        }
        var query = ViewQuery(startKey: [.integer(number)], endKey: [.integer(number), [:]])
        query.includeDocuments = true
        query.reduce = false
        query.limit = Self.batchSize
        var signed = now
        while true {
            let files = try await view(.fileListing, query).rows.compactMap(\.document)
            if files.isEmpty { break }
            // A lost race is seen again in the next round.
            _ = try await database.bulkSave(
                files.map { file in
                    var tombstone = Document(id: file.id, fields: ["_deleted": true])
                    tombstone.revision = file.revision
                    return tombstone
                })
            if now - signed > Self.trust / 3 {
                signed = now
                project.delete(trustedUntil: now + Self.trust)
                project.document.revision = try await database.save(project.document)
            }
        }
        if let revision = project.document.revision {
            do { try await database.delete(id, revision: revision) } catch CouchDBError.conflict {
                // Somebody else is at it too, and writes last.
            }
        }
        return true
    }
}
