import CouchDocument

/// In which order a worker takes the rows of a view.
public enum ClaimOrder: Hashable, Sendable {
    /// Any; each worker its own, so that many do not reach for the same token.
    case shuffled
    /// As the view has them, for views that are ordered by priority; rows of equal keys in any order. A worker that loses
    /// the first ones to others goes a little further down.
    case asViewed
    /// Any, each worker from a place of its own on: for the queues, which are spread over places.
    case sharded
}

/// The rows of a todo view that a worker has read and not yet tried, and what to read next when they run out.
///
/// The view may be behind (`update=lazy`), and others take tokens at any time, so a row is a hope: those whose document
/// is no longer todo are dropped, and losing a write to somebody else is counted. A worker that loses often reads
/// further down, where others do not.
public struct ClaimWindow: Sendable {
    /// What to do to get tokens.
    public enum Step: Hashable, Sendable {
        /// Try to write locks on these.
        case write([Token])
        /// Read rows of the view and hand them to ``fill(_:asked:totalRows:now:using:)``.
        case read(Read)
        /// Wait a moment, then ask again: others are as eager.
        case pause(Duration)
        /// There is nothing to claim.
        case empty
    }

    /// A read of the view.
    public struct Read: Hashable, Sendable {
        /// Whether the view must be up to date.
        public var isFresh: Bool
        /// Rows to leave out at the beginning.
        public var skip: Int
        /// The place from which on to read, below ``ClaimWindow/places``; `nil` from the beginning.
        public var place: Int?
        /// Only rows of that place behind the one of this id, and those of the places behind it.
        public var afterID: String?
        /// Rows to read.
        public var limit: Int
        /// Whether the view is to follow, after it answered, what was written since.
        public var follows = true
        /// Whether it goes on behind rows that were read a moment ago: what was claimed since has not moved these.
        public var isContinued: Bool { afterID != nil }
    }

    /// The order of taking rows.
    public let order: ClaimOrder
    /// What kind of token is taken: `command` or `file`.
    private let kind: String
    /// Rows read and not yet tried, the next one last.
    private var candidates: [Token] = []
    private var readAt: Timestamp?
    /// When the claim began, and when the view was last asked to follow.
    private var began: Timestamp?
    private var followedAt: Timestamp?
    /// Following costs a server some work for each document, and less of it for many together.
    private static let followPause = Duration.seconds(1)
    private var mustFollow: Bool {
        guard let began, let followedAt else { return true }
        return began - followedAt >= Self.followPause
    }
    private var totalRows = 0
    /// How many fresh reads come before the next lazy one. Lazy reads that bring only stale rows are not worth it.
    private var freshReads = 0
    private var lostShare = 0.0
    /// Writes that were lost, less those that were won.
    private var losses = 0
    private var barrenRounds = 0
    private var skip = 0
    private var isLastEmpty = false
    private var mustPause = false
    private var leastRows = 32
    /// Whether reads begin anywhere, so that each token of the view is as likely as another, and whether they do so now.
    private let isSpread: Bool
    private var startsAnywhere: Bool
    /// Where the rows read last ended. The next ones are those behind them, until others turn out to be there.
    private var end: (place: Int, id: String)?

    /// After so long the rows are read anew.
    private static let lifetime = Duration.seconds(5)
    /// So many rounds through a fresh view without a row to claim are taken for an empty view.
    private static let barrenLimit = 5
    private static let furthestSkip = 1000
    /// Over so many places the rows of a queue are spread, by their ids.
    public static let places = 65_536

    /// A window with nothing in it.
    public init(order: ClaimOrder = .shuffled) { self.init(order: order, spreadOver: nil) }

    /// A window for tokens of that kind, with nothing in it.
    ///
    /// - Parameter leastRows: How many rows to read at least, for however few tokens.
    init(order: ClaimOrder, kind: String, leastRows: Int) {
        self.init(order: order, spreadOver: nil, kind: kind)
        self.leastRows = leastRows
    }

    /// A window with nothing in it.
    ///
    /// - Parameter rows: About how many rows there are, when reads shall begin anywhere: at any place for ``ClaimOrder/sharded``,
    ///   else among the first thousand; `nil`: at the beginning, as long as few claims are lost.
    package init(order: ClaimOrder, spreadOver rows: Int?, kind: String = "command") {
        self.order = order
        self.kind = kind
        isSpread = rows != nil || order == .sharded
        startsAnywhere = isSpread
        totalRows = rows ?? 0
        // Who asks for an order wants the first token to be the first: not what the view knew some time ago.
        freshReads = order == .asViewed ? 1 : 0
    }

    /// Begins a claim: forgets rows that are too old, and that the view was empty.
    public mutating func begin(now: Timestamp) {
        began = now
        isLastEmpty = false
        barrenRounds = 0
        mustPause = false
        skip = 0
        startsAnywhere = isSpread
        if let readAt, now - readAt > Self.lifetime { candidates = [] }
    }

    /// The row that is tried next, if one was read.
    var first: Token? { candidates.last }

    /// How many of the rows that were read come before the first for which this does not hold.
    func leading(while holds: (Token) -> Bool) -> Int { candidates.reversed().prefix(while: holds).count }

    /// What to do next to get `count` tokens.
    public mutating func next(_ count: Int, using random: inout some RandomNumberGenerator) -> Step {
        if !candidates.isEmpty {
            candidates.removeLast(detour(atMost: candidates.count - count, using: &random))
            let taken = candidates.suffix(count).reversed()
            candidates.removeLast(taken.count)
            return .write(Array(taken))
        }
        if isLastEmpty || barrenRounds >= Self.barrenLimit { return .empty }
        if mustPause {
            mustPause = false
            return .pause(.milliseconds(Int.random(in: 10...50, using: &random) << barrenRounds))
        }
        let limit = limit(for: count)
        var skip = skip
        if order == .shuffled, skip == 0, lostShare > 0.25 || startsAnywhere, totalRows > limit {
            skip = Int.random(in: 0...min(totalRows - limit, Self.furthestSkip), using: &random)
        } else if skip == 0, 1 << losses > limit {
            skip = detour(atMost: min(totalRows - limit, Self.furthestSkip), using: &random)
        }
        var place: Int?
        var afterID: String?
        if order == .sharded, skip == 0, startsAnywhere, totalRows > limit {
            place = end?.place ?? Int.random(in: 0..<Self.places, using: &random)
            afterID = end?.id
        }
        return .read(
            Read(
                isFresh: freshReads > 0, skip: skip, place: place, afterID: afterID, limit: limit,
                follows: afterID == nil || mustFollow))
    }

    private func limit(for count: Int) -> Int { min(512, max(leastRows, 4 * count)) }

    /// What may be read while the tokens of the last step are written, so that the next claim of about as many has its rows
    /// at once; to be handed to ``fill(_:asked:totalRows:now:using:)`` after ``noteLost(_:of:using:)``. `nil` when there
    /// are rows enough, or when nobody can say yet what to read.
    package func ahead(_ count: Int) -> Read? {
        let limit = limit(for: count)
        guard order == .sharded, candidates.count < count, let end, freshReads == 0, totalRows > limit else {
            return nil
        }
        return Read(
            isFresh: false, skip: 0, place: end.place, afterID: end.id, limit: limit, follows: mustFollow)
    }

    /// How many rows to leave out of an order that many others follow too: none until a write is lost, then up to twice as
    /// many with each. Those rows are taken by others by the time that we would reach them.
    private func detour(atMost limit: Int, using random: inout some RandomNumberGenerator) -> Int {
        guard order == .asViewed, losses > 0, limit > 0 else { return 0 }
        return Int.random(in: 0..<min(1 << losses, limit + 1), using: &random)
    }

    /// Takes in the rows of a read: the key and the document as it was, `nil` for one that is gone.
    public mutating func fill(
        _ rows: [(key: JSON, token: Token?)], asked: Read, totalRows: Int?, now: Timestamp,
        using random: inout some RandomNumberGenerator
    ) {
        // It was read ahead, and others turned out to be there.
        if asked.isContinued, end?.id != asked.afterID { return }
        readAt = now
        if asked.isFresh || asked.follows { followedAt = now }
        // A queue counts the tokens of all priorities; those of the best one may be few.
        let isWhole = order == .sharded && asked.place == nil && asked.skip == 0 && rows.count < asked.limit
        self.totalRows = isWhole ? rows.count : totalRows ?? 0
        end = nil
        if order == .sharded, rows.count == asked.limit, let last = rows.last(where: { $0.token != nil }),
            let place = last.key.arrayValue?.last?.intValue, let id = last.token?.id
        {
            end = (place, id)
        }
        let claimable = rows.filter { $0.token.map(isClaimable) ?? false }
        // What is left of the rows before those that were read ahead comes first.
        let rest = asked.isContinued ? candidates : []
        switch order {
        case .shuffled:
            candidates = claimable.compactMap(\.token).shuffled(using: &random)
        case .sharded:
            // From any of them on, one after the other: neighbours are cheaper to write together.
            let tokens = claimable.compactMap(\.token)
            let start = tokens.isEmpty ? 0 : Int.random(in: tokens.indices, using: &random)
            candidates = (tokens[start...] + tokens[..<start]).reversed() + rest
        case .asViewed:
            candidates = []
            for group in claimable.chunked(by: { $0.key == $1.key }).reversed() {
                candidates += group.compactMap(\.token).shuffled(using: &random)
            }
        }
        if asked.isFresh {
            freshReads -= 1
        } else if claimable.count * 2 <= rows.count {
            freshReads = 8
        }
        guard candidates.isEmpty else {
            skip = 0
            return
        }
        freshReads = max(1, freshReads)
        end = nil
        // There is less than was thought: all of it is looked through.
        startsAnywhere = false
        if !asked.isFresh || asked.place != nil {
            skip = 0
        } else if rows.isEmpty && asked.skip == 0 {
            isLastEmpty = true
        } else if rows.count < asked.limit {
            // The end of the view, and rows that all went while we read: once more from the beginning.
            skip = 0
            barrenRounds += 1
            mustPause = rows.isEmpty == false
        } else {
            skip = asked.skip + rows.count
        }
    }

    /// Takes in how a write went: how many of how many tokens somebody else had taken.
    public mutating func noteLost(_ lost: Int, of tried: Int, using random: inout some RandomNumberGenerator) {
        guard tried > 0 else { return }
        let share = Double(lost) / Double(tried)
        lostShare = lostShare * 0.7 + share * 0.3
        losses = share > 0.5 ? min(losses + 1, 10) : max(losses - 1, 0)
        if share > 0.5 {
            // The rest of the window is as stale as what was tried, and what is behind it somebody else is about to take.
            end = nil
            if order != .asViewed { candidates = [] }
            freshReads = max(1, freshReads)
            mustPause = candidates.isEmpty
        }
    }

    /// Whether it may be claimed: it is todo now, and of the kind that is wanted. What does not say is a command, unless it
    /// is a file handle or Disco task by its type.
    private func isClaimable(_ token: Token) -> Bool {
        guard token.state == .todo else { return false }
        let usual = token.type == "file" || token.type == "disco" ? token.type : "command"
        guard let pool = token["pool"] else { return usual == kind }
        // Where somebody keeps something else under our name there is no place for a lease.
        guard pool.objectValue != nil else { return false }
        return (pool["kind"] ?? .string(usual)) == .string(kind)
    }
}

extension Array {
    /// The elements in runs of neighbours that belong together.
    fileprivate func chunked(by belongs: (Element, Element) -> Bool) -> [[Element]] {
        var chunks: [[Element]] = []
        for element in self {
            if let last = chunks.last?.last, belongs(last, element) {
                chunks[chunks.count - 1].append(element)
            } else {
                chunks.append([element])
            }
        }
        return chunks
    }
}
