import CouchDocument

/// How many files of a project are in which state, and when something last happened to one.
public struct FileCounts: Hashable, Sendable {
    /// The counts; a state without files is missing.
    public var counts: [FileState: Int]
    /// When something last happened to a file.
    public var lastActivity: Timestamp?

    /// No files.
    public init(_ counts: [FileState: Int] = [:], lastActivity: Timestamp? = nil) {
        self.counts = counts
        self.lastActivity = lastActivity
    }

    /// The number of files in a state.
    public subscript(state: FileState) -> Int { counts[state] ?? 0 }
    /// All files.
    public var total: Int { counts.values.reduce(0, +) }
    /// Those with which there is still something to do.
    public var open: Int { self[.initial] + self[.reserved] }
}

// What happens to a project in its life, as changes of the document alone. Each says whether it changed anything.
extension Project {
    /// Creating → active: now everybody sees it.
    mutating func appear(at now: Timestamp) {
        state = .active
        document["until"] = nil
        noteActivity(at: now)
    }

    /// Active → done or failed, when no file is open.
    mutating func end(_ counts: FileCounts, at now: Timestamp) -> Bool {
        guard state == .active, counts.total > 0, counts.open == 0 else { return false }
        state = counts[.failed] > 0 ? .failed : .done
        ended = now
        note(.end, at: now, ["state": .string(state.rawValue)])
        return true
    }

    /// Any → cancelled. One that is cancelled already stays as it is.
    mutating func cancel(at now: Timestamp, by: String? = nil) -> Bool {
        guard state.isVisible, state != .cancelled else { return false }
        state = .cancelled
        ended = now
        note(.cancel, at: now, by: by)
        return true
    }

    /// Any → active; the moment of its end stays.
    mutating func activate(at now: Timestamp, by: String? = nil) -> Bool {
        guard state.isVisible, state != .active else { return false }
        state = .active
        note(.activate, at: now, by: by)
        noteActivity(at: now)
        return true
    }

    /// Abandoned → active: a worker came back.
    mutating func wake(at now: Timestamp) -> Bool {
        guard state == .abandoned else { return false }
        state = .active
        note(.wake, at: now)
        noteActivity(at: now)
        return true
    }

    /// Active → abandoned, when nothing happened for too long; else the moment at which to look again.
    mutating func abandon(_ counts: FileCounts, at now: Timestamp) -> Bool {
        guard state == .active, let idleTimeout, let idleAt else { return false }
        // `idleAt` was counted from the last time that something happened to the project itself.
        let due = max(idleAt, counts.lastActivity.map { $0 + idleTimeout } ?? idleAt)
        if due <= now {
            state = .abandoned
            document["abandoned"] = now.json
            note(.abandon, at: now)
        } else {
            self.idleAt = due
        }
        return due <= now || due != idleAt
    }

    /// Some files were put back: not active → active, when there is something to do. Always writes something, so that
    /// whoever found the project ended meanwhile loses the write and looks again.
    mutating func restart(_ files: Int, _ counts: FileCounts, at now: Timestamp, by: String? = nil) {
        noteActivity(at: now)
        document["restarts"] = .integer((document["restarts"]?.intValue ?? 0) + 1)
        note(.restart, at: now, by: by, ["files": .integer(files)])
        guard state.isVisible, state != .active, counts.open > 0 else { return }
        state = .active
        ended = nil
    }

    /// Any → deleting: nobody sees it any more.
    mutating func delete(trustedUntil until: Timestamp) {
        state = .deleting
        document["until"] = until.json
    }

    /// When it came to its end, in whatever way; `nil` while it is active.
    var over: Timestamp? {
        switch state {
        case .done, .failed, .cancelled: ended
        case .abandoned: Timestamp(document["abandoned"]) ?? idleAt
        case .creating, .active, .deleting: nil
        }
    }

    /// When somebody must look whether it is idle.
    var idleAt: Timestamp? {
        get { Timestamp(document["idle_at"]) }
        set { document["idle_at"] = newValue?.json }
    }

    private mutating func noteActivity(at now: Timestamp) { idleAt = idleTimeout.map { now + $0 } }
}
