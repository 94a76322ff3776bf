import TokenPool

/// The files on tape that projects want, by storage element: what is known of them without asking anybody.
struct StagingBook: Sendable {
    /// A file on tape.
    struct Entry: Sendable, Hashable {
        var replica: Replica
        /// Its place in the order in which files are asked for.
        var order: Int
    }

    /// The storage elements that are served.
    let rses: Set<String>
    private var entries: [String: [DID: Entry]] = [:]
    private var count = 0

    init(rses: Set<String>) { self.rses = rses }

    /// The files at a storage element.
    subscript(rse: String) -> [DID: Entry] { entries[rse] ?? [:] }

    /// Takes in the replicas of a file that somebody wants; it has no others.
    mutating func note(_ did: DID, _ replicas: [Replica]) {
        let there = replicas.filter { rses.contains($0.rse) }
        for rse in rses {
            if let replica = there.first(where: { $0.rse == rse }) {
                let order = entries[rse]?[did]?.order ?? count
                entries[rse, default: [:]][did] = Entry(replica: replica, order: order)
                count += 1
            } else {
                entries[rse]?[did] = nil
            }
        }
    }

    /// Whether it is known.
    func knows(_ did: DID) -> Bool { rses.contains { entries[$0]?[did] != nil } }

    /// Nobody wants these any more.
    mutating func forget(_ dids: some Sequence<DID>) {
        for did in dids { for rse in rses { entries[rse]?[did] = nil } }
    }

    /// Those that should be asked for next: not on disk, not asked for, and not to be left alone for a while; in the order
    /// in which they were found.
    func candidates(at rse: String, asked: Set<DID>, now: Timestamp, most: Int) -> [DID] {
        guard most > 0 else { return [] }
        let open = self[rse].filter { did, entry in
            !entry.replica.isAvailable && !asked.contains(did) && (entry.replica.staging.map { $0.next <= now } ?? true)
        }
        return open.sorted { $0.value.order < $1.value.order }.prefix(most).map(\.key)
    }

    /// When the first of those that are left alone may be asked for again.
    func nextTry(at rse: String, asked: Set<DID>) -> Timestamp? {
        self[rse].lazy.filter { !$0.value.replica.isAvailable && !asked.contains($0.key) }
            .compactMap(\.value.replica.staging?.next).min()
    }
}
