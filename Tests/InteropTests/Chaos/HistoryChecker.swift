import CouchDocument
import TokenPool

/// Proves from the history of all writes that a pool kept its promises.
///
/// A value: every revision of every token goes in, in any order and as often as one likes, with what the pilots told and
/// what the commands noted; violations come out. Where a revision is missing, the tries in the next one speak for it.
struct HistoryChecker: Sendable {
    /// A promise that was broken.
    enum Violation: Hashable, Sendable {
        /// The second lease began while the first one was alive.
        case overlap(token: String, first: String, second: String)
        /// The token was taken from a holder whose lease was alive.
        case takenFromHolder(token: String, lease: String)
        /// The token ended twice, or went on after its end.
        case finishedTwice(token: String)
        /// The token is gone, or neither done nor out of tries.
        case lost(token: String)
        /// More tries than the token allows.
        case tooManyAttempts(token: String, attempts: Int)
        /// A write that was there is no part of what stands now.
        case vanished(token: String, revision: String)
        /// A lease is over and no entry of the history says how.
        case leaseWithoutEnd(token: String, lease: String)
        /// Two entries say differently how a lease ended.
        case endedTwice(token: String, lease: String)
        /// A command ran under a lease that was never written, or twice under one.
        case ranWithoutRight(token: String, lease: String)
        /// A result came too late and is neither kept nor dropped because the token says so.
        case unaccounted(token: String, lease: String)
    }

    private struct History: Sendable {
        var writes: [Revision: Token] = [:]
        /// The revisions of what stands at the end, the oldest first.
        var chain: [Revision]?
        var runs: [String: Int] = [:]
        /// Leases under which a pilot began a command, and that it brought to an end of whichever kind.
        var survivors: Set<String> = []
        var superseded: [String: Bool] = [:]
    }
    private var histories: [String: History]
    /// How many writes were fed.
    private(set) var writes = 0

    /// A checker of tokens with these ids, each of which must be brought to its end.
    init(expecting ids: some Sequence<String>) {
        histories = Dictionary(uniqueKeysWithValues: ids.map { ($0, History()) })
    }

    /// Takes in a revision of a token.
    mutating func feed(_ token: Token) {
        guard let revision = token.revision else { return }
        if histories[token.id, default: History()].writes.updateValue(token, forKey: revision) == nil { writes += 1 }
    }

    /// Takes in which revisions lead to what stands at the end, the oldest first.
    mutating func feed(chain: [Revision], of id: String) { histories[id, default: History()].chain = chain }

    /// Takes in that a command began under a lease, as the command noted itself.
    mutating func note(run lease: String, of id: String) {
        histories[id, default: History()].runs[lease, default: 0] += 1
    }

    /// Takes in that a pilot began a command under a lease, and lived to bring it to an end.
    mutating func note(survivor lease: String, of id: String) {
        histories[id, default: History()].survivors.insert(lease)
    }

    /// Takes in that a pilot found its result superseded.
    mutating func note(superseded lease: String, of id: String, kept: Bool) {
        histories[id, default: History()].superseded[lease] = kept
    }

    /// Revisions that lead to the end and were never fed.
    var unseen: Int {
        histories.values.reduce(0) { sum, history in
            sum + (history.chain ?? []).count { history.writes[$0] == nil }
        }
    }

    /// How many leases there were.
    var leases: Int { histories.values.reduce(0) { $0 + Self.leases(of: $1).count } }

    /// How many results came too late.
    var superseded: Int { histories.values.reduce(0) { $0 + $1.superseded.count } }

    /// How many tries ended how.
    var outcomes: [Attempt.Outcome: Int] {
        var counts: [Attempt.Outcome: Int] = [:]
        for history in histories.values {
            for endings in Self.endings(of: history).values {
                for ending in endings { counts[ending.outcome, default: 0] += 1 }
            }
        }
        return counts
    }

    /// Every promise that was broken.
    func violations() -> [Violation] {
        histories.sorted { $0.key < $1.key }.flatMap { id, history in Self.violations(of: id, history) }
    }

    private static func leases(of history: History) -> Set<String> {
        Set(history.writes.values.compactMap { $0.lease?.id }).union(endings(of: history).keys)
    }

    /// How leases ended, by lease, as any write says.
    private static func endings(of history: History) -> [String: Set<Attempt>] {
        var endings: [String: Set<Attempt>] = [:]
        for write in history.writes.values {
            for attempt in write.pool.history { endings[attempt.lease, default: []].insert(attempt) }
        }
        return endings
    }

    private static func violations(of id: String, _ history: History) -> [Violation] {
        var found: [Violation] = []
        let chain =
            history.chain
            ?? history.writes.keys.sorted { ($0.generation, $0.hash) < ($1.generation, $1.hash) }
        for revision in history.writes.keys where !chain.contains(revision) {
            found.append(.vanished(token: id, revision: revision.description))
        }
        let line = chain.compactMap { history.writes[$0] }
        found += holders(id, line)
        guard let last = line.last, last.document["_deleted"] != true else { return found + [.lost(token: id)] }
        let limit = last.pool.maxAttempts ?? .max
        let isOver = last.state == .done || (last.state == .error && last.pool.attempts >= limit)
        if !isOver { found.append(.lost(token: id)) }

        let endings = endings(of: history)
        let done = endings.count { $0.value.contains { $0.outcome == .done } }
        let states = line.map(\.state)
        let isEnd = { (state: TokenState) in state == .done || state == .error }
        if done > 1 || zip(states, states.dropFirst()).contains(where: { isEnd($0) && $1 != $0 }) {
            found.append(.finishedTwice(token: id))
        }
        let counted = endings.count { $0.value.contains { $0.outcome != .released && $0.outcome != .reset } }
        let attempts = max(line.map(\.pool.attempts).max() ?? 0, counted)
        if attempts > limit { found.append(.tooManyAttempts(token: id, attempts: attempts)) }
        let leases = leases(of: history)
        for lease in leases.sorted() {
            switch endings[lease]?.count ?? 0 {
            case 0: found.append(.leaseWithoutEnd(token: id, lease: lease))
            case 1: break
            default: found.append(.endedTwice(token: id, lease: lease))
            }
        }
        for (lease, count) in history.runs.sorted(by: { $0.key < $1.key }) where count > 1 || !leases.contains(lease) {
            found.append(.ranWithoutRight(token: id, lease: lease))
        }
        for lease in Set(history.superseded.keys).union(history.survivors).sorted() {
            let wasWritten = endings[lease]?.contains { $0.outcome != .lapsed && $0.outcome != .reset } ?? false
            let isKept = last.document.attachment("attempt-\(lease).json") != nil
            let isDropped = history.superseded[lease] == false && last.pool.dropsSuperseded
            let isAsTold = history.superseded[lease] != true || isKept
            if !(wasWritten || isKept || isDropped) || !isAsTold {
                found.append(.unaccounted(token: id, lease: lease))
            }
        }
        return found
    }

    /// Walks along the writes and looks at who held the token.
    private static func holders(_ id: String, _ line: [Token]) -> [Violation] {
        var found: [Violation] = []
        var holder: Lease?
        for write in line {
            if let holder, write.lease?.id != holder.id {
                let end = write.pool.history.last { $0.lease == holder.id }
                if let next = write.lease, end == nil, Timestamp(seconds: next.since) < holder.until {
                    found.append(.overlap(token: id, first: holder.id, second: next.id))
                } else if let end, end.outcome == .lapsed, end.ended < holder.until {
                    found.append(.takenFromHolder(token: id, lease: holder.id))
                }
            }
            holder = write.lease
        }
        return found
    }
}
