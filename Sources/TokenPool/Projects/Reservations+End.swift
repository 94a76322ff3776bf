import CouchDB
import Logging
import Synchronization

// The end of a project: whoever closes the last file ends it.
//
// Counting is a read of a view that every write before has to go into, so it is not done for each file: this desk knows how
// many were open and takes off those that it closes. Others may close some too, and then there are fewer than it knows: so
// while files are closed the project is counted once a second as well. Whoever asks for a file and finds none counts. Should
// all that be lost with the process, a janitor finds the project (``Projects/settleAll()``).
extension Reservations {
    /// How long a project may have no open file before it ends, where others closed some too.
    private static let lateness = Duration.seconds(1)

    /// What a desk knows of how many files of a project are open.
    struct OpenFiles {
        /// What was counted less what was closed here since: too few at worst, as far as this desk alone closes files.
        var left: Int?
        /// How many were closed here, ever.
        var closed = 0
    }

    /// Takes in that files of a project came to their end, and ends it if they may have been the last.
    func noteClosed(_ count: Int, in project: Project) async throws {
        let number = project.number
        let left = memory.withLock { memory -> Int? in
            var open = memory.open[number] ?? OpenFiles()
            open.closed += count
            open.left = open.left.map { $0 - count }
            memory.open[number] = open
            return open.left
        }
        if let left, left > 0 {
            expectCount(of: number)
        } else {
            // One that was not active may be by now.
            try await settle(number, known: project.state == .active ? project : nil)
        }
    }

    /// Counts the open files of a project, and ends it when there are none.
    @discardableResult
    func settle(_ number: Int, known: Project?) async throws -> (project: Project?, counts: FileCounts) {
        let before = memory.withLock { $0.open[number]?.closed ?? 0 }
        let settled = try await projects.settle(number, known: known)
        if let project = settled.project { remember(project) }
        memory.withLock { memory in
            // What is forgotten is counted again.
            if memory.open.count >= Self.capacity { memory.open = [:] }
            var open = memory.open[number] ?? OpenFiles()
            // Those closed meanwhile may be counted already, or not.
            open.left = settled.counts.open - (open.closed - before)
            memory.open[number] = open
        }
        return settled
    }

    /// Counts the project in a moment, for all files that are closed until then.
    private func expectCount(of number: Int) {
        guard memory.withLock({ $0.expected.insert(number).inserted }) else { return }
        Task { [weak self] in
            try await Task.sleep(for: Self.lateness)
            await self?.count(number)
        }
    }

    private func count(_ number: Int) async {
        _ = memory.withLock { $0.expected.remove(number) }
        do {
            let settled = try await settle(number, known: nil)
            if settled.counts.open == 0 { ended(number) }
        } catch {
            // The next file that is closed has it counted again, and so has whoever asks for one.
            projects.pool.logger.warning(
                "a project could not be counted", metadata: ["project": "\(number)", "error": "\(error)"])
        }
    }
}
