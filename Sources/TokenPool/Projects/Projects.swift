public import CouchDB
public import CouchDocument

/// The projects of a pool: made, worked on, watched and deleted.
///
/// A handle. All state is in the documents; any number of processes may use it at once.
public struct Projects: Sendable {
    /// The pool that holds the files.
    public let pool: Pool
    /// The documents.
    public var database: Database { pool.database }
    var now: Timestamp { pool.clock.now() }

    /// The projects of that pool.
    public init(_ pool: Pool) { self.pool = pool }

    /// Documents that go in one request.
    static let batchSize = 500
    /// Requests under way at a time.
    static let requestsAtATime = 3
    /// How long whoever works on a whole project is trusted to be alive after it last said so.
    static let trust = Duration.seconds(120)
}

extension ViewName {
    static let openFiles = ViewName(design: "dispatch", view: "open")
    static let projectFiles = ViewName(design: "dispatch", view: "files")
    static let fileListing = ViewName(design: "dispatch", view: "listing")
    static let fileNames = ViewName(design: "dispatch", view: "names")
    static let projects = ViewName(design: "dispatch", view: "projects")
    static let changedReplicas = ViewName(design: "dispatch", view: "changed")
    static let endedProjects = ViewName(design: "dispatch", view: "ended")
}

extension Projects {
    /// A project that can be seen. `nil` when there is none.
    public func project(_ number: Int) async throws -> Project? {
        try await database.documentIfPresent(Project.documentID(number)).flatMap(Project.init)
            .flatMap { $0.state.isVisible ? $0 : nil }
    }

    /// How many files of a project are in which state: one look into a reduced view, however many there are.
    public func counts(of number: Int) async throws -> FileCounts {
        var query = ViewQuery(startKey: [.integer(number)], endKey: [.integer(number), [:]])
        query.groupLevel = 2
        return Self.counts(try await view(.projectFiles, query).rows)[number] ?? FileCounts()
    }

    private static func counts(_ rows: [ViewRow]) -> [Int: FileCounts] {
        var counts: [Int: FileCounts] = [:]
        for row in rows {
            guard let number = row.key[0]?.intValue, let state = row.key[1]?.stringValue.flatMap(FileState.init),
                let count = row.value["count"]?.intValue
            else { continue }
            counts[number, default: FileCounts()].counts[state] = count
            if let last = Timestamp(row.value["max"]), last > counts[number]?.lastActivity ?? last - .seconds(1) {
                counts[number]?.lastActivity = last
            }
        }
        return counts
    }

    /// Which projects. Those in other states are not read.
    public struct Selection: Hashable, Sendable {
        /// Only of this owner; `nil` of all.
        public var owner: String?
        /// Only in this state; `nil` in all.
        public var state: ProjectState?
        /// Only in another than this.
        public var notState: ProjectState?
        /// Only those with all of these attributes.
        public var attributes: JSONObject

        /// Projects of these properties.
        public init(
            owner: String? = nil, state: ProjectState? = nil, notState: ProjectState? = nil,
            attributes: JSONObject = [:]
        ) {
            self.owner = owner
            self.state = state
            self.notState = notState
            self.attributes = attributes
        }

        fileprivate var states: [ProjectState] {
            ProjectState.allCases.filter { $0.isVisible && $0 != notState && (state ?? $0) == $0 }
        }
    }

    /// Projects by number.
    public func list(_ selection: Selection) async throws -> [Project] {
        // An empty owner means all of them in the view, and nobody here.
        guard selection.owner != "" else { return [] }
        var query = ViewQuery()
        query.includeDocuments = true
        query.reduce = false
        var found: [Project] = []
        for state in selection.states {
            let prefix: [JSON] = [.string(selection.owner ?? ""), .string(state.rawValue)]
            query.startKey = .array(prefix)
            query.endKey = .array(prefix + [[:]])
            found += try await view(.projects, query).rows.compactMap { $0.document.flatMap(Project.init) }
                .filter { project in
                    // The document may be newer than its row, and the order of views takes some names for the same.
                    project.state == state && (selection.owner.map { $0 == project.owner } ?? true)
                        && selection.attributes.allSatisfy { project.attributes[$0.name] == $0.value }
                }
        }
        return found.sorted { $0.number < $1.number }
    }

    /// The files of a project in the order in which it was made, page by page.
    public func eachPage(
        of number: Int, _ body: ([Project.FileHandle]) async throws -> Void
    ) async throws {
        var query = ViewQuery(startKey: [.integer(number)], endKey: [.integer(number), [:]])
        query.includeDocuments = true
        query.reduce = false
        query.limit = Self.batchSize
        while true {
            let rows = try await view(.fileListing, query).rows
            let files = rows.compactMap { $0.document.flatMap { Project.FileHandle($0) } }
            if !files.isEmpty { try await body(files) }
            guard rows.count == Self.batchSize, let last = rows.last, let id = last.id else { return }
            query.startKey = last.key
            query.startKeyDocumentID = id + "\u{0}"
        }
    }

    /// All files of a project, in the order in which it was made.
    public func files(of number: Int) async throws -> [Project.FileHandle] {
        var files: [Project.FileHandle] = []
        try await eachPage(of: number) { files += $0 }
        return files
    }

    /// The replicas of files, in their order; one that nobody knows has none.
    public func replicas(of dids: [DID]) async throws -> [FileReplicas] {
        var found: [FileReplicas] = []
        found.reserveCapacity(dids.count)
        for start in stride(from: 0, to: dids.count, by: Self.batchSize) {
            let some = dids[start..<min(start + Self.batchSize, dids.count)]
            for (did, document) in zip(some, try await database.documents(some.map(FileReplicas.documentID))) {
                found.append(document.flatMap(FileReplicas.init) ?? FileReplicas(did))
            }
        }
        return found
    }

    /// Rows of a view, with advice when it is not there.
    func view(_ name: ViewName, _ query: ViewQuery) async throws -> ViewPage {
        do { return try await database.view(name, query) } catch CouchDBError.notFound {
            throw try await pool.missing("view \"\(name)\" is not in")
        }
    }

    /// Changes a project as it stands now, again while others change it.
    ///
    /// - Parameters:
    ///   - known: The project as it was a moment ago, to begin with.
    ///   - change: Gets the current project; answers whether it changed anything.
    /// - Returns: The project afterwards; `nil` when there is none.
    @discardableResult
    func change(
        _ number: Int, known: Project? = nil, _ change: (inout Project) async throws -> Bool
    ) async throws -> Project? {
        for attempt in 0..<20 {
            let found = if attempt == 0, let known { known } else { try await project(number) }
            guard var project = found else { return nil }
            guard try await change(&project) else { return project }
            do {
                project.document.revision = try await database.save(project.document)
                return project
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "changing project \(number): others changed it each time; try again")
    }
}
