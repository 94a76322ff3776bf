import CouchDB
import CouchDocument
import Logging

extension Projects {
    /// Makes a project: nothing of it, or all.
    ///
    /// Its document says `creating` while the files are written, and nobody sees it; it turns `active` last. What a creator
    /// that died leaves behind a janitor removes.
    ///
    /// - Parameter number: A number from ``takeNumbers(_:)``; `nil` takes one.
    /// - Returns: The project and its files.
    /// - Throws: ``PoolError/Code/badInput`` for a file that is there twice.
    public func create(
        _ draft: ProjectDraft, owner: String, number: Int? = nil
    ) async throws -> (project: Project, files: [Project.FileHandle]) {
        try draft.check()
        let started = now
        let number = if let number { number } else { try await takeNumbers(1).lowerBound }
        var project = Project(draft, number: number, owner: owner, now: started, until: started + Self.trust)
        project.document.revision = try await database.save(project.document)
        do {
            var files = try await write(draft.files, of: project)
            if !project.isVirtual { try await correct(&files, since: started) }
            project.appear(at: now)
            project.document.revision = try await database.save(project.document)
            return (project, files)
        } catch {
            // The error is the one to tell; what can not be removed now a janitor removes.
            do { _ = try await remove(number) } catch let second {
                pool.logger.warning(
                    "a project that was not made is left to the janitor",
                    metadata: ["project": "\(number)", "error": "\(second)"])
            }
            throw error
        }
    }

    /// Takes numbers for projects that nobody else ever gets; they follow on each other.
    package func takeNumbers(_ count: Int) async throws -> Range<Int> {
        for attempt in 0..<40 {
            var counter =
                try await database.documentIfPresent(Self.counterID)
                ?? Document(id: Self.counterID, fields: ["type": "counter", "next": 1])
            let first = max(1, counter["next"]?.intValue ?? 1)
            counter["next"] = .integer(first + count)
            do {
                try await database.save(counter)
                return first..<first + count
            } catch CouchDBError.conflict {
                try await Task.sleep(for: .milliseconds(Int.random(in: 1...(5 << min(attempt, 5)))))
            }
        }
        throw PoolError(.contended, "taking a number for a project: others took one each time; try again")
    }

    static let counterID = "counter_projects"

    /// Writes the files in bulk, some requests at a time, and answers them as they are now.
    private func write(_ files: [ProjectFile], of project: Project) async throws -> [Project.FileHandle] {
        let now = now
        return try await inBatches(files.count) { range in
            let some = files[range]
            let places = project.isVirtual ? nil : try await replicas(of: some.map(\.did)).map(\.readableRSEs)
            let handles = some.indices.map { index in
                Project.FileHandle(
                    files[index], at: index, of: project, rses: places?[index - range.lowerBound] ?? [], now: now)
            }
            return try await save(handles, of: project.number)
        }
    }

    /// Saves files that are new, and looks what was written where the answer was lost.
    private func save(_ handles: [Project.FileHandle], of number: Int) async throws -> [Project.FileHandle] {
        var open = Array(handles.enumerated())
        var saved = handles
        for attempt in 0..<5 where !open.isEmpty {
            do {
                var left: [(offset: Int, element: Project.FileHandle)] = []
                for (item, outcome) in zip(open, try await database.bulkSave(open.map(\.element.token.document))) {
                    switch outcome {
                    case .saved(_, let revision, _): saved[item.offset].token.revision = revision
                    case .failed(_, let error) where error.code == .conflict && attempt > 0:
                        // An earlier request had written it.
                        guard let there = try await database.documentIfPresent(item.element.id) else { throw error }
                        saved[item.offset].token = Token(there)
                    case .failed(_, let error) where error.isUncertain: left.append(item)
                    case .failed(_, let error):
                        throw PoolError(
                            .badInput,
                            "file \"\(item.element.did?.description ?? "")\" of project \(number) can not be written",
                            cause: error.description)
                    }
                }
                open = left
            } catch let error as CouchDBError where error.isUncertain && attempt < 4 {
                try await Task.sleep(for: .milliseconds(100 << attempt))
            }
        }
        guard open.isEmpty else {
            throw PoolError(.contended, "writing files of project \(number): the server refused some; try again")
        }
        return saved
    }

    /// Looks again at the files whose replicas changed while the project was written: whoever changed them may have
    /// looked for their files before these were there.
    private func correct(_ files: inout [Project.FileHandle], since: Timestamp) async throws {
        // Clocks of other machines may be behind.
        let changed = try await changedReplicas(since: since - .seconds(30))
        guard !changed.isEmpty else { return }
        var readable: [DID: [String]] = [:]
        for replicas in changed { readable[replicas.did] = replicas.readableRSEs }
        let stale = files.indices.filter { index in
            files[index].did.flatMap { readable[$0] }.map { $0 != files[index].rses } ?? false
        }
        for start in stride(from: 0, to: stale.count, by: Self.batchSize) {
            let some = stale[start..<min(start + Self.batchSize, stale.count)]
            let changed = some.map { index in
                var file = files[index]
                file.rses = file.did.flatMap { readable[$0] } ?? []
                return file
            }
            for (index, (file, outcome)) in zip(
                some, zip(changed, try await database.bulkSave(changed.map(\.token.document))))
            {
                // Whoever changed the replicas may have written it too.
                guard let revision = outcome.revision else { continue }
                files[index] = file
                files[index].token.revision = revision
            }
        }
    }

    private func changedReplicas(since: Timestamp) async throws -> [FileReplicas] {
        var query = ViewQuery(startKey: since.json, endKey: nil)
        query.includeDocuments = true
        query.reduce = false
        return try await view(.changedReplicas, query).rows.compactMap { $0.document.flatMap(FileReplicas.init) }
    }

    /// Does something for ranges of a list, some at a time, and puts together what comes out.
    func inBatches<Value: Sendable>(
        _ count: Int, _ body: @Sendable @escaping (Range<Int>) async throws -> [Value]
    ) async throws -> [Value] {
        let ranges = stride(from: 0, to: count, by: Self.batchSize).map { $0..<min($0 + Self.batchSize, count) }
        return try await withThrowingTaskGroup(of: (Int, [Value]).self) { group in
            var parts = [[Value]](repeating: [], count: ranges.count)
            for (index, range) in ranges.enumerated() {
                if index >= Self.requestsAtATime, let (done, values) = try await group.next() { parts[done] = values }
                group.addTask { (index, try await body(range)) }
            }
            for try await (done, values) in group { parts[done] = values }
            return parts.flatMap { $0 }
        }
    }
}
