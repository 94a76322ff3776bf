import CouchDB
import CouchDocument
import Logging
import TokenPool

/// Brings the files that projects want from tape to disk, keeps them there while they are wanted, and lets them go.
///
/// What was asked of a storage is in documents: whoever comes after this process goes on where it stopped. For each storage
/// element one desk works at a time, of however many there are.
package actor StagingDesk {
    /// How a storage element is seen to.
    package struct Settings: Sendable, Hashable {
        /// So long files are asked for; longer requests are renewed before their end.
        package var life = Duration.seconds(3600)
        /// At most so many files of a storage element are asked for or on disk at a time.
        package var most = 10_000
        /// Files in one request.
        package var batch = 500
        /// What became of requests is asked for so often.
        package var poll = Duration.seconds(30)
        /// The pause after a file failed for the first time; it doubles with each time.
        package var pause = Duration.seconds(60)
        /// The longest pause.
        package var longestPause = Duration.seconds(6 * 3600)
        /// Another desk takes over when this one was not heard of for so long.
        package var takeover = Duration.seconds(60)

        /// The defaults.
        package init() {}
    }

    /// A storage element with a tape interface.
    package struct Place: Sendable {
        /// Its settings.
        package let settings: Settings
        /// Makes the interface, from what is known of the storage element now.
        package let service: @Sendable (RSE) throws -> any TapeService

        /// A storage element of that interface.
        package init(settings: Settings, service: @escaping @Sendable (RSE) throws -> any TapeService) {
            self.settings = settings
            self.service = service
        }
    }

    let projects: Projects
    let clock: any PoolClock
    let logger: Logger
    private let places: [String: Place]
    private var leases: [String: StagingLease] = [:]
    private var services: [String: (rse: RSE, service: any TapeService)] = [:]
    var book: StagingBook
    /// When projects were looked through, and how often files of theirs had been put back by then.
    private var scanned: [Int: (at: Timestamp, restarts: Int)] = [:]
    private var readChanges: Timestamp?
    private var lastChange: Timestamp?
    /// After a storage refused a request: when it is asked again, and how long that is.
    var rests: [String: (until: Timestamp, pause: Duration)] = [:]
    /// Requests of which a storage said, the last time, that it knows nothing.
    var missing: Set<String> = []
    private var troubles: [String: String] = [:]
    private let holder: String
    /// All files of a project are looked through so often, for those that were put back.
    private static let rescan = Duration.seconds(600)
    /// Clocks of other machines may be behind.
    private static let overlap = Duration.seconds(10)

    /// A desk for the storage elements of these names.
    package init(_ projects: Projects, places: [String: Place], logger: Logger) {
        self.projects = projects
        clock = projects.pool.clock
        self.places = places
        self.logger = logger
        book = StagingBook(rses: Set(places.keys))
        holder = String(UInt64.random(in: 0 ... .max), radix: 36)
    }

    /// Works until the task is cancelled.
    ///
    /// - Parameter look: New projects are looked for so often.
    package func run(look: Duration = .seconds(2)) async {
        var polledAt: ContinuousClock.Instant?
        let poll = places.values.map(\.settings.poll).min() ?? .seconds(30)
        while !Task.isCancelled {
            let isDue = polledAt.map { $0 + poll <= .now } ?? true
            if isDue { polledAt = .now }
            await turn(polling: isDue)
            do { try await Task.sleep(for: min(look, poll)) } catch { break }
        }
        await leave()
    }

    /// Gives up what is held, so that others need not wait.
    private func leave() async {
        for rse in leases.keys.sorted() {
            guard var lease = leases[rse] else { continue }
            leases[rse] = nil
            let now = clock.now()
            // The task may have been cancelled: this much it still does.
            await Task { [logger] in
                do { try await lease.release(at: now) } catch {
                    logger.info("staging is taken over later", metadata: ["rse": "\(rse)", "reason": "\(error)"])
                }
            }.value
        }
    }

    /// Sees to everything once.
    ///
    /// - Parameter polling: Whether storages are asked what became of requests. Without that, nothing is done unless
    ///   projects or replicas are others than the last time.
    package func turn(polling: Bool = true) async {
        let active: Set<Int>
        let rses: [RSE]
        do {
            let wanting = try await projects.wanting()
            active = Set(wanting.map(\.number))
            let isNew = try await readProjects(wanting)
            let last = try await projects.lastReplicaChange()
            guard polling || isNew || last != lastChange else { return }
            lastChange = last
            try await readChanges(active)
            rses = try await projects.rses().filter { places[$0.name] != nil && $0.isTape && $0.isReadable }
            tell("pool", nil)
        } catch {
            tell("pool", error)
            return
        }
        for rse in rses {
            guard let place = places[rse.name] else { continue }
            do {
                try await see(to: rse, place, active, polling: polling)
                tell(rse.name, nil)
            } catch { tell(rse.name, error) }
        }
    }

    /// Looks through projects that are new, or were not looked through for long.
    ///
    /// - Returns: Whether there were such.
    private func readProjects(_ wanting: [Project]) async throws -> Bool {
        let now = clock.now()
        let active = Set(wanting.map(\.number))
        scanned = scanned.filter { active.contains($0.key) }
        if readChanges == nil { readChanges = now }
        var isNew = false
        for project in wanting {
            let restarts = project.document["restarts"]?.intValue ?? 0
            if let known = scanned[project.number], known.restarts == restarts, known.at + Self.rescan > now {
                continue
            }
            try await projects.eachOpenPage(of: project.number) { page in
                for file in try await projects.replicas(of: page) { book.note(file.did, file.replicas) }
            }
            scanned[project.number] = (now, restarts)
            isNew = true
        }
        return isNew
    }

    /// Takes in which replicas others changed.
    private func readChanges(_ active: Set<Int>) async throws {
        let now = clock.now()
        try await projects.eachChange(since: (readChanges ?? now) - Self.overlap) { files in
            let ours = files.filter { file in
                book.knows(file.did) || file.replicas.contains { book.rses.contains($0.rse) }
            }
            let unknown = ours.map(\.did).filter { !book.knows($0) }
            let wanted = try await projects.wanted(unknown, by: active)
            for file in ours where book.knows(file.did) || wanted.contains(file.did) {
                book.note(file.did, file.replicas)
            }
        }
        readChanges = now
    }

    /// One storage element's turn.
    private func see(to rse: RSE, _ place: Place, _ active: Set<Int>, polling: Bool) async throws {
        var requests = try await requests(of: rse.name)
        let asked = Set(requests.flatMap(\.dids))
        let isWorthIt =
            !requests.isEmpty || !book.candidates(at: rse.name, asked: asked, now: clock.now(), most: 1).isEmpty
        guard isWorthIt else { return }
        var lease =
            leases[rse.name]
            ?? StagingLease(projects.database, rse: rse.name, holder: holder, length: place.settings.takeover)
        let wasOurs = lease.isSafe(at: clock.now())
        let isOurs = try await lease.hold(at: clock.now())
        leases[rse.name] = lease
        guard isOurs else { return }
        // Who had it before may have changed them since.
        if !wasOurs { requests = try await self.requests(of: rse.name) }
        var round = StagingRound(
            rse: rse, settings: place.settings, service: try service(of: rse, place), active: active,
            polls: polling, requests: requests)
        try await work(&round)
    }

    private func service(of rse: RSE, _ place: Place) throws -> any TapeService {
        if let known = services[rse.name], known.rse == rse { return known.service }
        let service = try place.service(rse)
        services[rse.name] = (rse, service)
        return service
    }

    /// Whether nobody else can be at it while a request that is begun now is under way.
    func isSafe(_ rse: String) -> Bool { leases[rse]?.isSafe(at: clock.now()) ?? false }

    /// Keeps the lease through a long turn.
    ///
    /// - Returns: Whether it is still ours.
    func holdOn(_ rse: String) async throws -> Bool {
        guard var lease = leases[rse] else { return false }
        let isOurs = try await lease.hold(at: clock.now())
        leases[rse] = lease
        return isOurs
    }

    private func requests(of rse: String) async throws -> [StagingRequest] {
        var query = ViewQuery(
            startKey: .string(StagingRequest.prefix + rse + "_"),
            endKey: .string(StagingRequest.prefix + rse + "_\u{fff0}"))
        query.includeDocuments = true
        return try await projects.database.allDocuments(query).rows
            .compactMap { $0.document.flatMap(StagingRequest.init) }.filter { $0.rse == rse }
    }

    /// Tells a failure once, and once when it is over.
    func tell(_ subject: String, _ error: (any Error)?) {
        if Task.isCancelled { return }
        let text = error.map { "\($0)" }
        let before = troubles[subject]
        troubles[subject] = text
        guard text != before else { return }
        if let text {
            logger.warning("staging from tape is held up", metadata: ["of": "\(subject)", "reason": "\(text)"])
        } else if before != nil {
            logger.notice("staging from tape goes on", metadata: ["of": "\(subject)"])
        }
    }
}
