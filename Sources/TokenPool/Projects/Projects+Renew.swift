import CouchDB
import CouchDocument

/// The files that a worker has, with a new end of their reservations.
public struct FileRenewal: Sendable {
    /// What the worker has still.
    public let files: [Project.FileHandle]
    /// The project.
    public let project: Project
}

/// What came of a renewal.
public enum RenewAnswer: Sendable {
    /// These are the worker's, for the project's time-out from now on.
    case renewed(FileRenewal)
    /// The project is not for who asks.
    case refused
    /// There is no such project.
    case missing
}

extension FileDesk {
    /// Moves the ends of all reservations of a worker in a project: it lives. Without a time-out of the project there is
    /// nothing to move, and the answer says what the worker has.
    ///
    /// - Parameter isAllowed: Whether the project is for who asks.
    public func renew(
        _ number: Int, worker: String,
        isAllowed: @escaping @Sendable (Project) async throws -> Bool = { _ in true }
    ) async throws -> RenewAnswer {
        guard let project = try await projects.project(number) else { return .missing }
        guard try await isAllowed(project) else { return .refused }
        let (claims, due) = try await projects.renew(project, worker: worker)
        reservations.hold(claims)
        if let due { reservations.note(due) }
        return .renewed(FileRenewal(files: claims.compactMap { Project.FileHandle($0.token) }, project: project))
    }
}

extension Projects {
    /// The files of a project that a worker has, in the order in which it was made.
    public func files(of number: Int, heldBy worker: String) async throws -> [Project.FileHandle] {
        let prefix: [JSON] = [.integer(number), .string(FileState.reserved.rawValue), .string(worker)]
        var query = ViewQuery(startKey: .array(prefix), endKey: .array(prefix + [[:]]))
        query.includeDocuments = true
        query.reduce = false
        return try await view(.projectFiles, query).rows.compactMap { row in
            // The document may be newer than its row.
            row.document.flatMap { Project.FileHandle($0) }.flatMap { $0.workerID == worker ? $0 : nil }
        }
    }

    /// - Returns: The claims that hold, and when the first of them ends.
    fileprivate func renew(
        _ project: Project, worker: String
    ) async throws -> (claims: [ClaimedToken], due: Timestamp?) {
        let held = try await files(of: project.number, heldBy: worker).compactMap(\.claim)
        guard let timeout = project.workerTimeout, !held.isEmpty else { return (held, nil) }
        var renewed: [ClaimedToken] = []
        for start in stride(from: 0, to: held.count, by: Self.batchSize) {
            let now = now
            let some = Array(held[start..<min(start + Self.batchSize, held.count)])
            let outcomes = try await pool.write(some, mustBeSafe: true) { claim, token in
                var lease = claim.lease
                lease.until = max(lease.until, now + timeout)
                token.pool.lease = lease
                token.pool.members["at"] = now.json
            }
            for (outcome, claim) in outcomes {
                // One that somebody took back or that came to its end meanwhile is not the worker's any more.
                guard case .saved(let token) = try outcome.get(), let lease = token.lease else { continue }
                renewed.append(ClaimedToken(token: token, lease: lease, worker: claim.worker))
            }
        }
        return (renewed, renewed.map(\.lease.until).min())
    }
}
