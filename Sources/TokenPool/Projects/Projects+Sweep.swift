import CouchDB
import CouchDocument

// What janitors do for projects; each write is on the revision that was read, so whoever comes late loses it.
extension Projects {
    /// Takes back files whose worker had them for too long, and ends projects that had no other open.
    func takeBack(_ ids: [String], _ now: Timestamp, _ report: inout SweepReport) async throws {
        guard !ids.isEmpty else { return }
        let files = try await database.documents(ids).compactMap { $0.flatMap { Project.FileHandle($0) } }
        let lapsed = files.compactMap { file -> Token? in
            guard let lease = file.token.lease, lease.isExpired(at: now) else { return nil }
            var file = file
            file.timeOut(at: now)
            return file.token
        }
        for token in try await pool.writeSwept(lapsed, &report) {
            if token.state == .error { report.givenUp.append(token.id) } else { report.returned.append(token.id) }
        }
        // Also those whose write was lost: whoever won it may die before it counts.
        for number in Set(files.map(\.project)) { try await settle(number) }
    }

    /// Sees to projects: idle ones are abandoned, half-made and half-deleted ones removed.
    func tend(_ ids: [String], _ now: Timestamp, _ report: inout SweepReport) async throws {
        for project in try await database.documents(ids).compactMap({ $0.flatMap(Project.init) }) {
            if project.state.isVisible {
                let after = try await change(project.number) { project in
                    guard let idleAt = project.idleAt, idleAt <= now, project.state == .active else { return false }
                    return project.abandon(try await counts(of: project.number), at: now)
                }
                guard let after else { continue }
                if after.state == .abandoned {
                    report.closedProjects.append(project.number)
                } else if after.state == .active, let idleAt = after.idleAt {
                    report.nextDue = min(report.nextDue ?? idleAt, idleAt)
                }
            } else if (Timestamp(project.document["until"]) ?? now) <= now, try await remove(project.number) {
                report.closedProjects.append(project.number)
            }
        }
    }

    /// Ends projects whose last file was closed by somebody who died then, and removes those that are old enough.
    ///
    /// A look at each active project, so this is not for every sweep.
    ///
    /// - Parameter age: Projects that came to their end longer ago are removed with their files; `nil` none.
    func tendAll(removingAfter age: Duration?) async throws -> SweepReport {
        var report = SweepReport()
        do {
            report.closedProjects = try await settleAll()
            if let age { try await removeOld(now - age, &report) }
        } catch let error as PoolError where error.code == .noSuchView {
            // A pool without the views of projects has none.
        }
        return report
    }

    /// Removes projects that came to their end before that moment, some at a time.
    private func removeOld(_ moment: Timestamp, _ report: inout SweepReport) async throws {
        var query = ViewQuery(startKey: 0, endKey: moment.json)
        query.limit = Self.removedAtATime
        let rows = try await view(.endedProjects, query).rows
        for number in rows.compactMap(\.value.intValue) {
            // Somebody may have put files back meanwhile.
            let isRemoved = try await delete(number) { project in project.over.map { $0 <= moment } ?? false }
            if isRemoved { report.closedProjects.append(number) }
        }
        report.isFull = rows.count == Self.removedAtATime
    }

    private static let removedAtATime = 20
}
