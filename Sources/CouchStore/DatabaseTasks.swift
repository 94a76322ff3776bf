import Foundation
import Synchronization

/// What a database is busy with besides answering, as `_active_tasks` tells of it.
package final class DatabaseTasks: Sendable {
    /// In CouchDB's words.
    package enum Kind: String, Sendable {
        case indexer
        case databaseCompaction = "database_compaction"
        case viewCompaction = "view_compaction"
    }

    /// One piece of work under way.
    package struct Entry: Sendable {
        package let kind: Kind
        /// `_design/name`; `nil`: the database itself.
        package let design: String?
        /// Of how many changes, documents or rows.
        package var total: Int
        package var done = 0
        /// Seconds since 1970.
        package let started: Int
        package var updated: Int
    }

    private struct State {
        var next = 0
        var entries: [Int: Entry] = [:]
    }

    /// Protects the list.
    private let state = Mutex(State())

    package init() {}

    /// What is under way, the oldest first.
    package var all: [Entry] {
        state.withLock { state in state.entries.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// Work that stands in the list from now until ``Work/end()``.
    func begin(_ kind: Kind, design: String? = nil, total: Int) -> Work {
        let now = Self.now
        let number = state.withLock { state in
            state.next += 1
            state.entries[state.next] = Entry(kind: kind, design: design, total: total, started: now, updated: now)
            return state.next
        }
        return Work(tasks: self, number: number)
    }

    private static var now: Int { Int(Date().timeIntervalSince1970) }

    /// What its worker holds.
    struct Work: Sendable {
        fileprivate let tasks: DatabaseTasks
        fileprivate let number: Int

        func update(done: Int, total: Int? = nil) {
            let now = DatabaseTasks.now
            tasks.state.withLock { state in
                state.entries[number]?.done = done
                if let total { state.entries[number]?.total = total }
                state.entries[number]?.updated = now
            }
        }

        func end() { tasks.state.withLock { _ = $0.entries.removeValue(forKey: number) } }
    }
}
