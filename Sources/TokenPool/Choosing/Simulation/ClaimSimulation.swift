import CouchDocument

/// What happens when many pilots claim from one pool, computed event by event: how many locks are lost to others, and how
/// many tokens a second are claimed.
///
/// The pilots choose with the same ``ClaimWindow`` as real ones. What is modelled beside them is what makes them meet: the
/// way to the server and back, servers that do one thing a core at a time, views that are read lazily and were brought up
/// to date by whoever read last, and nodes of a cluster that hear of each other's writes only after a while. A lock is
/// decided in one place, as a quorum does.
///
/// The same settings give the same result: the randomness comes from the seed.
package struct ClaimSimulation: Sendable {
    /// What is simulated.
    package struct Settings: Hashable, Sendable {
        /// Pilots of one slot each.
        package var pilots = 100
        /// How they choose.
        package var order = ClaimOrder.sharded
        /// Tokens in the pool at the beginning, all in one queue.
        package var tokens = 1_000_000
        /// How long a command takes on average, in seconds; the lengths are spread exponentially.
        package var run = 10.0
        /// The way to a server and back, in seconds, on average.
        package var roundTrip = 0.02
        /// Nodes of the cluster; a pilot speaks with any of them.
        package var nodes = 3
        /// Cores of each node.
        package var cores = 2
        /// After how many seconds a node hears of another one's writes.
        package var lag = 0.1
        /// Simulated seconds before counting begins, and those that are counted.
        package var warmUp = 10.0
        package var duration = 20.0
        package var seed: UInt64 = 1

        /// The usual settings.
        package init() {}
    }

    /// What came out.
    package struct Outcome: Hashable, Sendable {
        /// Locks that were written.
        package var claims = 0
        /// Locks that somebody else had written first.
        package var conflicts = 0
        /// Reads of the view.
        package var reads = 0
        /// Rows whose document was no longer todo.
        package var staleRows = 0
        /// The counted time, in seconds.
        package var seconds = 0.0

        /// The part of all lock writes that was lost, from 0 to 1.
        package var conflictRate: Double {
            claims + conflicts == 0 ? 0 : Double(conflicts) / Double(claims + conflicts)
        }
        /// Tokens claimed a second.
        package var rate: Double { seconds > 0 ? Double(claims) / seconds : 0 }
    }

    /// A pilot, and what the server is to do for it next.
    private struct Pilot {
        var window: ClaimWindow
        var request = Request.claim
    }

    private enum Request {
        /// Nothing yet: the next claim begins.
        case claim
        case read(ClaimWindow.Read)
        case lock([Token])
        case finish
    }

    private enum Event {
        /// A request is there.
        case arrival
        /// The server has done it.
        case completion
    }

    // What requests cost a core, in seconds; from `tokenpool bench read`, `view` and `insert` on two cores of a server.
    private static let requestCost = 0.000_1
    private static let rowCost = 0.000_006
    private static let writeCost = 0.000_05
    private static let indexCost = 0.000_004

    private let settings: Settings
    private var random: SplitMix
    private var view: SimulatedView
    private var pilots: [Pilot]
    private var queue = EventQueue<(pilot: Int, node: Int, kind: Event)>()
    /// When each core of each node is free.
    private var free: [Double]
    private var outcome = Outcome()

    /// A pool at its beginning.
    package init(_ settings: Settings) {
        self.settings = settings
        random = SplitMix(settings.seed)
        view = SimulatedView(tokens: settings.tokens, nodes: settings.nodes, lag: settings.lag)
        // The list of queues, which pilots read first, says how many rows there are.
        let window = ClaimWindow(
            order: settings.order, spreadOver: settings.order == .sharded ? settings.tokens : nil)
        pilots = Array(repeating: Pilot(window: window), count: settings.pilots)
        free = Array(repeating: 0, count: settings.nodes * settings.cores)
    }

    /// Runs it from the beginning to the end of the counted time, or until the pool is empty.
    package mutating func run() -> Outcome {
        let end = settings.warmUp + settings.duration
        for pilot in pilots.indices {
            // They come within the time of a command, as in a pool that has worked for a while.
            send(pilot, at: Double.random(in: 0...max(settings.run, 0.001), using: &random))
        }
        var now = 0.0
        while let next = queue.next, next.time < end, view.left > 0 {
            queue.removeFirst()
            now = next.time
            let (pilot, node, kind) = next.event
            switch kind {
            case .arrival: serve(pilot, on: node, now)
            case .completion: complete(pilot, on: node, now)
            }
        }
        outcome.seconds = max(0, now - settings.warmUp)
        return outcome
    }

    /// Sends the pilot's request to any node.
    private mutating func send(_ pilot: Int, at time: Double) {
        let node = Int.random(in: 0..<settings.nodes, using: &random)
        queue.add((pilot, node, .arrival), at: time)
    }

    /// The way to a server and back: never less than half of the average.
    private mutating func travel() -> Double { settings.roundTrip * 0.5 * (1 + exponential()) }

    private mutating func exponential() -> Double {
        let number = Double.random(in: 0..<1, using: &random)
        return -logarithm(1 - number)
    }

    /// The first free core of the node does it.
    private mutating func serve(_ pilot: Int, on node: Int, _ now: Double) {
        if case .claim = pilots[pilot].request { begin(pilot, now) }
        let cores = node * settings.cores..<(node + 1) * settings.cores
        let core = cores.min { free[$0] < free[$1] } ?? cores.lowerBound
        let start = max(now, free[core])
        free[core] = start + cost(of: pilots[pilot].request, on: node, start)
        queue.add((pilot, node, .completion), at: free[core])
    }

    private func cost(of request: Request, on node: Int, _ start: Double) -> Double {
        switch request {
        case .claim, .finish: Self.requestCost + Self.writeCost
        case .lock(let tokens): Self.requestCost + Self.writeCost * Double(tokens.count)
        case .read(let read):
            Self.requestCost + Self.rowCost * Double(read.limit)
                + (read.isFresh ? Self.indexCost * Double(view.behind(on: node)) : 0)
        }
    }

    private mutating func begin(_ pilot: Int, _ now: Double) {
        pilots[pilot].window.begin(now: Self.moment(now))
        // A window that still has rows goes on with them.
        decide(pilot, at: now, isNew: true)
    }

    /// The request's effect, and what the pilot does next.
    private mutating func complete(_ pilot: Int, on node: Int, _ now: Double) {
        let isCounted = now >= settings.warmUp
        switch pilots[pilot].request {
        case .claim: break
        case .finish:
            pilots[pilot].request = .claim
            send(pilot, at: now + travel())
            return
        case .read(let read):
            let rows = view.read(read, on: node, now)
            if isCounted {
                outcome.reads += 1
                outcome.staleRows += rows.count { $0.token?.lock != 0 }
            }
            pilots[pilot].window.fill(
                rows, asked: read, totalRows: view.left, now: Self.moment(now), using: &random)
        case .lock(let tokens):
            let won = tokens.count { view.take($0, on: node, now) }
            if isCounted {
                outcome.claims += won
                outcome.conflicts += tokens.count - won
            }
            pilots[pilot].window.noteLost(tokens.count - won, of: tokens.count, using: &random)
            if won > 0 {
                pilots[pilot].request = .finish
                let length = settings.run * exponential()
                send(pilot, at: now + travel() + length)
                return
            }
        }
        decide(pilot, at: now, isNew: false)
    }

    /// Asks the window what to do next, as ``Pool/claim(_:from:as:lease:window:)`` does.
    private mutating func decide(_ pilot: Int, at now: Double, isNew: Bool) {
        var now = now
        while true {
            switch pilots[pilot].window.next(1, using: &random) {
            case .write(let tokens): pilots[pilot].request = .lock(tokens)
            case .read(let read): pilots[pilot].request = .read(read)
            case .pause(let duration):
                now += duration / .seconds(1)
                continue
            case .empty:
                // It looks again after a while.
                pilots[pilot].window.begin(now: Self.moment(now))
                now += 1
                continue
            }
            // A new claim is here already: its first request is the one that is being served.
            if !isNew { send(pilot, at: now + travel()) }
            return
        }
    }

    private static func moment(_ seconds: Double) -> Timestamp { Timestamp(milliseconds: Int(seconds * 1000)) }
}
