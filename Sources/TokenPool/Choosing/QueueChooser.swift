import CouchDocument

/// From which queue a worker takes its next tokens.
///
/// Only from queues whose tokens fit into what the worker has left. The best priority goes first. Among equals the set
/// goes first that has had the least of this worker's time, measured by its share; so sets with work get their shares
/// of the pool, whatever their sizes. Within a set large tokens go before small ones, which fit in beside them later.
///
/// A value: queues in, choices out.
public struct QueueChooser: Sendable {
    /// What to do to get tokens.
    enum Step: Sendable {
        /// Claim so many from this queue, and tell ``note(_:claimed:of:)``.
        case claim(WorkQueue, Int)
        /// Read the queues and hand them to ``fill(_:isFresh:now:)``.
        case read(isFresh: Bool)
        /// Nothing that is there can be taken.
        case nothing
    }

    /// Only tokens of these sets; `nil` all.
    let sets: Set<String>?
    /// What else counts than what fits.
    let order: WorkOrder
    private var queues: [WorkQueue] = []
    private var readAt: Timestamp?
    private var isFresh = false
    /// Whether the last look found no token at all, not even one that does not fit, and the view was up to date.
    package private(set) var isBare = false
    /// Queues that turned out empty or barred since they were read.
    private var spent: Set<WorkQueue.Name> = []
    private var windows: [WorkQueue.Name: ClaimWindow] = [:]
    /// Core-seconds that sets were given, divided by their shares.
    private var usage: [String: Double] = [:]
    private var shares: [String: Double] = [:]
    /// The usual length of a token of a set, in seconds.
    private var lengths: [String: Double] = [:]

    /// After so long the queues are read anew.
    private static let lifetime = Duration.seconds(5)

    /// A chooser that knows of nothing yet.
    public init(sets: Set<String>? = nil, order: WorkOrder = .priority) {
        self.sets = sets
        self.order = order
    }

    /// Begins a claim.
    mutating func begin(now: Timestamp) {
        if let readAt, now - readAt > Self.lifetime { forget() }
        isFresh = false
    }

    private mutating func forget() {
        queues = []
        readAt = nil
        spent = []
    }

    /// What to do next for up to so many tokens.
    ///
    /// - Parameter ahead: So many that require nothing may be taken beyond what there is room for.
    func next(_ count: Int, _ left: Offer, ahead: Int = 0, using random: inout some RandomNumberGenerator) -> Step {
        func room(_ queue: WorkQueue, atMost count: Int) -> Int {
            let now = left.room(for: queue.requires, atMost: count)
            return queue.requires.isEmpty ? min(count, now + max(0, ahead)) : now
        }
        let open = queues.filter { !spent.contains($0.name) && room($0, atMost: 1) > 0 }
        guard let best = open.map(\.priority).max() else {
            return readAt == nil || !isFresh ? .read(isFresh: readAt != nil || isBare || order == .oldest) : .nothing
        }
        switch order {
        case .priority: break
        case .oldest:
            let sorted = open.sorted { $0.rank > $1.rank }
            // No more than what is older than the others' oldest; before its rows are read that is one.
            let next = sorted.count > 1 ? sorted[1].rank : -Double.infinity
            let run = sorted.count > 1 ? window(of: sorted[0]).leading { WorkQueue.rank(of: $0) >= next } : count
            return .claim(sorted[0], room(sorted[0], atMost: min(count, max(run, 1))))
        case .random:
            // Each token alike, so a queue as often as it has tokens.
            var number = Int.random(in: 0..<open.reduce(0) { $0 + $1.count }, using: &random)
            guard
                let drawn = open.first(where: { queue in
                    number -= queue.count
                    return number < 0
                })
            else { return .nothing }
            return .claim(drawn, room(drawn, atMost: count))
        }
        let equals = open.filter { $0.priority == best }
        // In any order first, so that workers without a past begin with different sets.
        let chosen = equals.shuffled(using: &random).min { one, other in
            let (a, b) = (standing(of: one.set), standing(of: other.set))
            if one.set != other.set, a != b { return a < b }
            return one.set == other.set && Self.size(one) > Self.size(other)
        }
        guard let chosen else { return .nothing }
        return .claim(chosen, room(chosen, atMost: count))
    }

    private static func size(_ queue: WorkQueue) -> Double {
        (queue.requires["cores"]?.numberValue ?? 1) + (queue.requires["gpus"]?.numberValue ?? 0) * 1000
    }

    private func standing(of set: String) -> Double { usage[set] ?? 0 }

    /// Takes in the queues.
    mutating func fill(_ queues: [WorkQueue], isFresh: Bool, now: Timestamp) {
        self.queues = queues.filter { $0.count > 0 && (sets?.contains($0.set) ?? true) }
        self.isFresh = isFresh
        isBare = isFresh && self.queues.isEmpty
        readAt = now
        spent = []
        let names = Set(self.queues.map(\.name))
        windows = windows.filter { names.contains($0.key) }
        // A set that comes later begins where the others are: it has no claim on the past.
        let present = Set(self.queues.map(\.set))
        let least = present.compactMap { usage[$0] }.min() ?? 0
        for set in present where usage[set] == nil { usage[set] = least }
    }

    /// The sets of the queues that are known.
    var setNames: Set<String> { Set(queues.map(\.set)) }

    mutating func setShare(_ share: Double?, of set: String) { shares[set] = share }

    func window(of queue: WorkQueue) -> ClaimWindow {
        windows[queue.name] ?? ClaimWindow(order: order.claims, spreadOver: order == .oldest ? nil : queue.count)
    }

    mutating func keep(_ window: ClaimWindow, of queue: WorkQueue) { windows[queue.name] = window }

    /// Takes in how a claim went.
    mutating func note(_ queue: WorkQueue, claimed: Int, of wanted: Int) {
        if claimed == 0 {
            spent.insert(queue.name)
        } else if order == .oldest {
            if let first = windows[queue.name]?.first, let index = queues.firstIndex(where: { $0.name == queue.name }) {
                queues[index].rank = WorkQueue.rank(of: first)
            } else {
                // Nobody knows how old the rest of it is.
                forget()
            }
        }
        let cores = max(queue.requires["cores"]?.numberValue ?? 1, 0.1)
        let cost = Double(claimed) * cores * (lengths[queue.set] ?? averageLength)
        usage[queue.set, default: 0] += cost / max(shares[queue.set] ?? 1, 0.001)
    }

    private var averageLength: Double {
        lengths.isEmpty ? 1 : lengths.values.reduce(0, +) / Double(lengths.count)
    }

    /// Takes in how long a token of a set took.
    public mutating func noteLength(_ length: Duration, of set: String) {
        let seconds = max(Double(length.wholeMilliseconds) / 1000, 0.001)
        lengths[set] = lengths[set].map { $0 * 0.8 + seconds * 0.2 } ?? seconds
    }
}
