import CouchDocument

/// The initial files of a project that were tried equally often and can be read at the same storage element.
struct FileQueue: Hashable, Sendable {
    /// How often they were tried.
    let attempts: Int
    /// The storage element; empty where files need no replica.
    let rse: String

    /// Where the rows of its files are.
    func source(of project: Int) -> ClaimSource {
        let start: JSON = [.integer(project), .integer(attempts), .string(rse)]
        let end: JSON = [.integer(project), .integer(attempts), .string(rse), [:]]
        return ClaimSource(view: .openFiles, startKey: start, endKey: end, order: .asViewed)
    }
}

/// What a worker at a site can read, and how far it is.
struct SiteView: Sendable {
    let rses: [String: RSE]
    let proximity: ProximityMap
    let site: String

    /// The place of a storage element in the order of this site; `nil` when nothing can be read there.
    func rank(_ rse: String) -> (Int, Int)? {
        if rse.isEmpty { return (0, 0) }
        guard let known = rses[rse], known.isReadable else { return nil }
        return (proximity.proximity(of: rse, to: site) ?? .max, known.preference)
    }

    /// Whether one of these replicas can be read.
    func canRead(_ replicas: FileReplicas) -> Bool {
        replicas.readableRSEs.contains { rses[$0]?.isReadable == true }
    }
}

/// Which files of a project a worker gets next: those tried least often, among them those nearest to its site, among
/// them those that were named first.
///
/// A value: queues and rows in, choices out. Rows are hopes (``ClaimWindow``); a row whose file has no readable replica
/// by its document is none.
struct FileChooser: Sendable {
    enum Step: Sendable {
        /// Write locks on these, and tell ``note(_:claimed:of:using:)``.
        case claim(FileQueue, [Project.FileHandle])
        /// Read the queues and hand them to ``fill(_:now:)``.
        case readQueues
        /// Read rows and hand them to ``fill(_:_:_:asked:now:using:)``.
        case read(FileQueue, ClaimWindow.Read)
        /// Wait: others are as eager.
        case pause(Duration)
        /// There is nothing that this site can have.
        case nothing
    }

    private struct Taken {
        let generation: Int
        let at: Timestamp
    }

    private var queues: Set<FileQueue> = []
    private var readAt: Timestamp?
    private var isFresh = false
    private var spent: Set<FileQueue> = []
    private var windows: [FileQueue: ClaimWindow] = [:]
    private var replicas: [String: FileReplicas] = [:]
    /// What was claimed by us, which may stand in other windows still.
    private var taken: [String: Taken] = [:]
    private var prunedAt: Timestamp?

    /// After so long the queues are read anew, so that a nearer or less tried file is seen.
    private static let lifetime = Duration.seconds(2)
    private static let memory = Duration.seconds(10)
    /// Rows that are read at a time: a read costs the view all writes since the one before, however many rows it is for.
    private static let emptyWindow = ClaimWindow(order: .asViewed, kind: "file", leastRows: 256)

    /// Begins a claim.
    mutating func begin(now: Timestamp) {
        if let readAt, now - readAt > Self.lifetime { forget() }
        isFresh = false
        if let prunedAt, now - prunedAt < Self.memory {
            // Looked through now and then only: it may be long.
        } else {
            taken = taken.filter { now - $0.value.at < Self.memory }
            prunedAt = now
        }
        for queue in Array(windows.keys) { windows[queue]?.begin(now: now) }
    }

    private mutating func forget() {
        readAt = nil
        queues = []
        spent = []
    }

    /// What to do next to get up to `count` files for a site.
    mutating func next(_ count: Int, at site: SiteView, using random: inout some RandomNumberGenerator) -> Step {
        while true {
            guard let queue = best(at: site) else { return isFresh ? .nothing : .readQueues }
            var window = windows.removeValue(forKey: queue) ?? Self.emptyWindow
            let step = window.next(count, using: &random)
            windows[queue] = window
            switch step {
            case .write(let tokens):
                let open = tokens.compactMap { Project.FileHandle($0) }.filter { isOpen($0) && canRead($0, at: site) }
                if !open.isEmpty { return .claim(queue, open) }
            case .read(let read): return .read(queue, read)
            case .pause(let duration): return .pause(duration)
            case .empty:
                spent.insert(queue)
                windows[queue] = nil
            }
        }
    }

    private func best(at site: SiteView) -> FileQueue? {
        var best: (queue: FileQueue, rank: (Int, Int, Int))?
        for queue in queues where !spent.contains(queue) {
            guard let (distance, preference) = site.rank(queue.rse) else { continue }
            let rank = (queue.attempts, distance, preference)
            guard let found = best else {
                best = (queue, rank)
                continue
            }
            if rank < found.rank || rank == found.rank && queue.rse < found.queue.rse { best = (queue, rank) }
        }
        return best?.queue
    }

    private func isOpen(_ file: Project.FileHandle) -> Bool {
        guard let taken = taken[file.id], let generation = file.token.revision?.generation else { return true }
        return generation > taken.generation
    }

    private func canRead(_ file: Project.FileHandle, at site: SiteView) -> Bool {
        file.isVirtual || replicas[file.id].map(site.canRead) ?? false
    }

    /// The replicas of a file whose rows were read.
    func replicas(of file: Project.FileHandle) -> FileReplicas? { replicas[file.id] }

    /// Takes in which queues there are.
    mutating func fill(_ queues: Set<FileQueue>, now: Timestamp) {
        self.queues = queues
        spent = []
        windows = windows.filter { queues.contains($0.key) }
        readAt = now
        isFresh = true
        if replicas.count > 5000 {
            replicas = [:]
            windows = [:]
        }
    }

    /// Takes in rows of a queue with the replicas of their files.
    mutating func fill(
        _ queue: FileQueue, _ rows: [(key: JSON, file: Project.FileHandle?)], _ found: [String: FileReplicas],
        asked: ClaimWindow.Read, at site: SiteView, now: Timestamp, using random: inout some RandomNumberGenerator
    ) {
        replicas.merge(found) { $1 }
        // What nobody can read is no row: else it would come again with every read. Nor is what went on to another queue
        // since the view was brought up to date.
        let usable = rows.map { key, file in
            let isUsable = file.map { $0.attempts == queue.attempts && canRead($0, at: site) } ?? false
            return (key: key, token: isUsable ? file?.token : nil)
        }
        windows[queue, default: Self.emptyWindow]
            .fill(usable, asked: asked, totalRows: nil, now: now, using: &random)
    }

    /// Takes in how a write went.
    mutating func note(
        _ queue: FileQueue, claimed: [ClaimedToken], of tried: [Project.FileHandle], now: Timestamp,
        using random: inout some RandomNumberGenerator
    ) {
        for claim in claimed {
            taken[claim.token.id] = Taken(generation: claim.token.revision?.generation ?? 0, at: now)
        }
        windows[queue]?.noteLost(tried.count - claimed.count, of: tried.count, using: &random)
    }
}
