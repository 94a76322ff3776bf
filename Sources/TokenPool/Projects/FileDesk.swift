import CouchDB
import CouchDocument
import Synchronization

/// Where workers reserve files and give them back. What comes at one time is done together: reservations of a project
/// share what was read of it and one request that writes them all, and so do returns.
///
/// Keeps nothing that another desk would need: what it remembers are hopes that every write puts to the test. Any number of
/// desks may serve the same projects.
public final class FileDesk: Sendable {
    /// A worker that wants a file.
    public struct Request: Sendable {
        /// The worker's name.
        public var worker: String
        /// Where it runs, by the names of the proximity map.
        public var site: String
        /// Whether the project is for who asks.
        public var isAllowed: @Sendable (Project) async throws -> Bool

        /// A request of these parts.
        public init(
            worker: String, site: String, isAllowed: @escaping @Sendable (Project) async throws -> Bool = { _ in true }
        ) {
            self.worker = worker
            self.site = site
            self.isAllowed = isAllowed
        }
    }

    /// A file that a worker has now.
    public struct Reservation: Sendable {
        /// The file.
        public let file: Project.FileHandle
        /// Its project.
        public let project: Project
        /// Where it can be read, the nearest first.
        public let replicas: [(replica: Replica, proximity: Int?)]
    }

    /// What came of a request.
    public enum Answer: Sendable {
        /// The worker has a file.
        case reserved(Reservation)
        /// There is none now; there may be later.
        case nothing
        /// The project is over, or all of its files are.
        case over
        /// It is not for who asks.
        case refused
        /// There is no such project.
        case missing
    }

    /// The projects.
    public let projects: Projects
    let reservations: Reservations
    let bells = Bells()
    private let reserving: Gatherer<Int, Request, Answer>
    let releasing: Gatherer<Int, ReleaseCall, ReleaseAnswer>
    private let numbering: Gatherer<Int, Void, Int>

    /// A desk for these projects.
    ///
    /// - Parameter note: Hears when something becomes due: the end of a reservation, the idle time of a project.
    public init(_ projects: Projects, note: @escaping @Sendable (Timestamp) -> Void = { _ in }) {
        self.projects = projects
        let reservations = Reservations(projects: projects, note: note) { [bells] in bells.ring($0) }
        self.reservations = reservations
        reserving = Gatherer(limit: 256) { await reservations.serve($0, $1) }
        releasing = Gatherer(limit: 256) { number, calls in
            await Self.gathered(calls) { try await reservations.release(calls, in: number) }
        }
        numbering = Gatherer(limit: 256) { _, calls in
            await Self.gathered(calls) { try await projects.takeNumbers(calls.count).map { $0 } }
        }
    }

    private static func gathered<Call, Answer>(
        _ calls: [Call], _ work: () async throws -> [Answer]
    ) async -> [Result<Answer, any Error>] {
        do { return try await work().map(Result.success) } catch { return calls.map { _ in .failure(error) } }
    }

    /// Reserves a file for a worker: tried least often, among those nearest to its site, and never one that can not be
    /// read there. No two workers get the same one.
    ///
    /// - Parameter wait: When there is none now, how long to wait for one. What happens in this process is noticed at once,
    ///   what others do within a second. A task that is cancelled meanwhile gets none.
    public func reserve(_ number: Int, _ request: Request, waiting wait: Duration = .zero) async throws -> Answer {
        guard wait > .zero else { return try await reserving.perform(request, for: number) }
        let end = projects.now + wait
        let name = bells.listen(for: number)
        defer { bells.forget(name, of: number) }
        while true {
            try Task.checkCancellation()
            // Not by this task: whoever goes away while a file is reserved for others must not disturb that.
            let answer = try await reserving.perform(request, for: number, here: false)
            let left = end - projects.now
            guard case .nothing = answer, left > .zero, !bells.isOver else { return answer }
            await bells.wait(name, for: number, atMost: min(left, .seconds(1)))
        }
    }

    /// Ends all waiting, for good: who waits is told that there is no file now.
    public func endWaiting() { bells.end() }

    /// Makes a project; see ``Projects/create(_:owner:number:)``.
    public func create(
        _ draft: ProjectDraft, owner: String
    ) async throws -> (project: Project, files: [Project.FileHandle]) {
        try draft.check()
        let made = try await projects.create(draft, owner: owner, number: try await numbering.perform((), for: 0))
        if let idleAt = made.project.idleAt { reservations.note(idleAt) }
        return made
    }

    /// The storage elements and the proximity map, as read a second ago at most.
    public func sites() async throws -> Sites { try await reservations.sites(now: projects.now) }

    /// Forgets what was read of a project: it was changed here.
    public func forget(_ number: Int) {
        reservations.forget(number)
        bells.ring(number)
    }

    /// Forgets what was read of storage elements: one was changed here.
    public func forgetSites() {
        reservations.forgetSites()
        bells.ringAll()
    }
}

/// The storage elements of a pool and how far they are from where.
public struct Sites: Sendable {
    /// The storage elements by name.
    public let rses: [String: RSE]
    /// How far they are.
    public let proximity: ProximityMap

    func view(from site: String) -> SiteView { SiteView(rses: rses, proximity: proximity, site: site) }
}
