import CouchDB
import CouchDocument
import Synchronization

/// Serves the reservations of a ``FileDesk``: one batch of a project at a time.
final class Reservations: Sendable {
    let projects: Projects
    let note: @Sendable (Timestamp) -> Void
    /// Hears of a project that came to its end when nobody asked.
    let ended: @Sendable (Int) -> Void

    struct Known {
        var project: Project
        var readAt: Timestamp
    }
    struct Memory {
        var projects: [Int: Known] = [:]
        var choosers: [Int: FileChooser] = [:]
        var sites: (Sites, readAt: Timestamp)?
        /// What was reserved here and not given back here, by document id.
        var held: [String: ClaimedToken] = [:]
        /// What is known of how many files of a project are open.
        var open: [Int: OpenFiles] = [:]
        /// Projects that will be counted in a moment.
        var expected: Set<Int> = []
    }
    /// Protects what was read, which batches of several projects look up and replace.
    let memory = Mutex(Memory())
    /// What others change is seen after so long; what this process changes, at once.
    private static let lifetime = Duration.seconds(1)
    static let capacity = 2000
    private static let mostHeld = 20_000

    init(
        projects: Projects, note: @escaping @Sendable (Timestamp) -> Void, ended: @escaping @Sendable (Int) -> Void
    ) {
        self.projects = projects
        self.note = note
        self.ended = ended
    }

    func forget(_ number: Int) {
        memory.withLock { memory in
            memory.projects[number] = nil
            memory.open[number]?.left = nil
        }
    }
    func forgetSites() { memory.withLock { $0.sites = nil } }

    /// Answers requests for files of a project, in their order.
    func serve(_ number: Int, _ requests: [FileDesk.Request]) async -> [Result<FileDesk.Answer, any Error>] {
        var answers = [Result<FileDesk.Answer, any Error>?](repeating: nil, count: requests.count)
        do { try await serve(number, requests, &answers) } catch {
            for index in answers.indices where answers[index] == nil { answers[index] = .failure(error) }
        }
        return answers.map { $0 ?? .success(.nothing) }
    }

    private func serve(
        _ number: Int, _ requests: [FileDesk.Request], _ answers: inout [Result<FileDesk.Answer, any Error>?]
    ) async throws {
        guard var project = try await project(number) else {
            for index in answers.indices { answers[index] = .success(.missing) }
            return
        }
        var open: [Int] = []
        for (index, request) in requests.enumerated() {
            if try await request.isAllowed(project) { open.append(index) } else { answers[index] = .success(.refused) }
        }
        if !open.isEmpty, project.state == .abandoned, let active = try await projects.wake(number) {
            project = active
            remember(project)
            if let idleAt = project.idleAt { note(idleAt) }
        }
        guard project.state == .active else {
            for index in open { answers[index] = .success(.over) }
            return
        }
        let sites = try await sites(now: projects.now)
        // Taken out and not copied: this batch alone has it.
        var chooser = memory.withLock { $0.choosers.removeValue(forKey: number) } ?? FileChooser()
        defer { keep(chooser, of: number) }
        for (site, indices) in Dictionary(grouping: open, by: { requests[$0].site }) {
            let workers = indices.sorted().map { (index: $0, name: requests[$0].worker) }
            try await reserve(project, &chooser, sites.view(from: site), workers) {
                answers[$0] = .success(.reserved($1))
            }
        }
        let rest = open.filter { answers[$0] == nil }
        guard !rest.isEmpty else { return }
        // Nothing to reserve: because others have the rest, or because there is no rest.
        let isOver = try await settle(number, known: project).counts.open == 0
        for index in rest { answers[index] = .success(isOver ? .over : .nothing) }
    }

    /// Reserves a file for each of these workers of one site, as many as there are.
    private func reserve(
        _ project: Project, _ chooser: inout FileChooser, _ site: SiteView, _ workers: [(index: Int, name: String)],
        give: (Int, FileDesk.Reservation) -> Void
    ) async throws {
        var random = SystemRandomNumberGenerator()
        var waiting = workers
        chooser.begin(now: projects.now)
        while !waiting.isEmpty {
            switch chooser.next(waiting.count, at: site, using: &random) {
            case .claim(let queue, let files):
                let now = projects.now
                let claims = zip(files, waiting).map { file, worker in
                    file.claim(by: worker.name, timeout: project.workerTimeout, at: now)
                }
                let (claimed, isWeak) = try await projects.pool.writeLocks(claims)
                if isWeak, claimed.isEmpty {
                    throw CouchDBError(
                        code: .serverError, status: 503, reason: "too few nodes of the cluster take reservations",
                        attempted: "reserving files")
                }
                chooser.note(queue, claimed: claimed, of: files, now: now, using: &random)
                if project.workerTimeout != nil, let first = claimed.map(\.lease.until).min() { note(first) }
                hold(claimed)
                let byLease = Dictionary(claimed.map { ($0.lease.id, $0.token) }, uniquingKeysWith: { $1 })
                var left: [(index: Int, name: String)] = []
                for (place, worker) in waiting.enumerated() {
                    if place < claims.count, let token = byLease[claims[place].lease.id],
                        let file = Project.FileHandle(token)
                    {
                        let replicas = chooser.replicas(of: file).map { offered($0, at: site) } ?? []
                        give(worker.index, FileDesk.Reservation(file: file, project: project, replicas: replicas))
                    } else {
                        left.append(worker)
                    }
                }
                waiting = left
            case .readQueues: chooser.fill(try await queues(of: project.number), now: projects.now)
            case .read(let queue, let read):
                let rows = try await projects.view(.openFiles, queue.source(of: project.number).query(read)).rows
                    .map { (key: $0.key, file: $0.document.flatMap { Project.FileHandle($0) }) }
                chooser.fill(
                    queue, rows, try await replicas(of: rows.compactMap(\.file)), asked: read, at: site,
                    now: projects.now, using: &random)
            case .pause(let duration): try await Task.sleep(for: duration)
            case .nothing: return
            }
        }
    }

    /// The replicas that a site can read, the nearest first.
    private func offered(_ replicas: FileReplicas, at site: SiteView) -> [(replica: Replica, proximity: Int?)] {
        replicas.replicas.filter { $0.isAvailable && site.rses[$0.rse]?.isReadable == true }
            .map { (replica: $0, proximity: site.proximity.proximity(of: $0.rse, to: site.site)) }
            .sorted { ($0.proximity ?? .max, $0.replica.rse) < ($1.proximity ?? .max, $1.replica.rse) }
    }

    private func queues(of number: Int) async throws -> Set<FileQueue> {
        var query = ViewQuery(startKey: [.integer(number)], endKey: [.integer(number), [:]])
        query.groupLevel = 3
        let queues = try await projects.view(.openFiles, query).rows.compactMap { row -> FileQueue? in
            guard let attempts = row.key[1]?.intValue, let rse = row.key[2]?.stringValue else { return nil }
            return FileQueue(attempts: attempts, rse: rse)
        }
        return Set(queues)
    }

    private func replicas(of files: [Project.FileHandle]) async throws -> [String: FileReplicas] {
        let real = files.filter { !$0.isVirtual && $0.did != nil }
        let found = try await projects.replicas(of: real.compactMap(\.did))
        return Dictionary(zip(real.map(\.id), found), uniquingKeysWith: { $1 })
    }
}

// Giving back.
extension Reservations {
    /// Gives files of a project back, in the order of the calls.
    func release(_ calls: [ReleaseCall], in number: Int) async throws -> [ReleaseAnswer] {
        guard let project = try await project(number) else { return calls.map { _ in .missing } }
        let held = memory.withLock { memory in
            var held: [DID: ClaimedToken] = [:]
            for call in calls {
                held[call.did] = memory.held.removeValue(forKey: Project.FileHandle.documentID(number, call.did))
            }
            return held
        }
        let answers = try await projects.release(calls, in: project, held: held, now: projects.now)
        var released = 0
        var closed = 0
        for (call, answer) in zip(calls, answers) {
            switch answer {
            case .success(.released(let file)):
                released += 1
                if !file.state.isOpen { closed += 1 }
            // Who has it is looked up when it comes back.
            case .success(.notReserved), .success(.missing), .success(.wrongWorker): break
            case .success(.refused), .failure: if let claim = held[call.did] { hold([claim]) }
            }
        }
        if released > 0, project.state == .abandoned, let active = try await projects.wake(number) {
            remember(active)
            if let idleAt = active.idleAt { note(idleAt) }
        }
        if closed > 0 { try await noteClosed(closed, in: project) }
        return try answers.map { try $0.get() }
    }

    /// Remembers who has which file.
    func hold(_ claims: [ClaimedToken]) {
        memory.withLock { memory in
            // What is forgotten is looked up when it comes back.
            if memory.held.count + claims.count > Self.mostHeld { memory.held = [:] }
            for claim in claims { memory.held[claim.token.id] = claim }
        }
    }
}

// What was read before.
extension Reservations {
    private func project(_ number: Int) async throws -> Project? {
        let now = projects.now
        if let known = memory.withLock({ $0.projects[number] }), now - known.readAt < Self.lifetime {
            return known.project
        }
        guard let project = try await projects.project(number) else {
            forget(number)
            return nil
        }
        remember(project)
        return project
    }

    func remember(_ project: Project) {
        let now = projects.now
        memory.withLock { memory in
            if memory.projects.count >= Self.capacity { memory.projects = [:] }
            memory.projects[project.number] = Known(project: project, readAt: now)
        }
    }

    private func keep(_ chooser: FileChooser, of number: Int) {
        memory.withLock { memory in
            // What is forgotten is read again.
            if memory.choosers.count >= Self.capacity { memory.choosers = [:] }
            memory.choosers[number] = chooser
        }
    }

    func sites(now: Timestamp) async throws -> Sites {
        if let (sites, readAt) = memory.withLock({ $0.sites }), now - readAt < Self.lifetime { return sites }
        let sites = try await projects.sites()
        memory.withLock { $0.sites = (sites, now) }
        return sites
    }
}
