import CouchDB
import CouchDocument

/// A worker gives a file back.
struct ReleaseCall: Sendable {
    let did: DID
    let result: FileResult
    let worker: String?
    let isAllowed: @Sendable (Project) async throws -> Bool
}

/// What came of a return.
public enum ReleaseAnswer: Sendable {
    /// It is back: the file as it stands now.
    case released(Project.FileHandle)
    /// There is no such file, or nobody has it.
    case notReserved
    /// Another worker has it.
    case wrongWorker
    /// The project is not for who asks.
    case refused
    /// There is no such project.
    case missing
}

extension FileDesk {
    /// Gives a file back. When it was the last of the project that was open, the project ends.
    ///
    /// - Parameters:
    ///   - worker: Who must have it; `nil` whoever has.
    ///   - isAllowed: Whether the project is for who asks.
    public func release(
        _ did: DID, of number: Int, as result: FileResult, worker: String? = nil,
        isAllowed: @escaping @Sendable (Project) async throws -> Bool = { _ in true }
    ) async throws -> ReleaseAnswer {
        let answer = try await releasing.perform(
            ReleaseCall(did: did, result: result, worker: worker, isAllowed: isAllowed), for: number)
        // Those who wait may have this one now, or hear that the project is over.
        if case .released = answer { bells.ring(number) }
        return answer
    }
}

extension Projects {
    /// Gives files of a project back: reads them together, writes them together, and counts once.
    ///
    /// - Parameters:
    ///   - known: The project as it was a moment ago; `nil` reads it.
    ///   - held: Who had files a moment ago; others are looked up. What has changed since is found out by the write.
    func release(
        _ calls: [ReleaseCall], in number: Int, known: Project? = nil, held: [DID: ClaimedToken] = [:], now: Timestamp
    ) async throws -> [ReleaseAnswer] {
        let found = if let known { known } else { try await self.project(number) }
        guard let project = found else { return calls.map { _ in .missing } }
        var answers = [ReleaseAnswer](repeating: .notReserved, count: calls.count)
        let unknown = calls.map(\.did).filter { held[$0] == nil }
        var current = held
        for (did, file) in zip(unknown, try await files(unknown, of: number)) { current[did] = file?.claim }
        var claims: [(index: Int, claim: ClaimedToken)] = []
        var taken: Set<DID> = []
        for (index, call) in calls.enumerated() {
            if try await !call.isAllowed(project) {
                answers[index] = .refused
            } else if let claim = current[call.did] {
                if let worker = call.worker, worker != claim.lease.worker {
                    answers[index] = .wrongWorker
                } else if taken.insert(call.did).inserted {
                    claims.append((index, claim))
                }
            }
        }
        guard !claims.isEmpty else { return answers }
        let results = Dictionary(claims.map { ($0.claim.lease.id, calls[$0.index].result) }, uniquingKeysWith: { $1 })
        let outcomes = try await pool.write(claims.map(\.claim)) { claim, token in
            guard let result = results[claim.lease.id], var file = Project.FileHandle(token) else { return }
            file.release(result, at: now)
            token = file.token
        }
        var failure: (any Error)?
        for ((index, _), (outcome, _)) in zip(claims, outcomes) {
            switch outcome {
            case .success(.saved(let token)):
                if let file = Project.FileHandle(token) { answers[index] = .released(file) }
            case .success(.superseded): break
            case .failure(let error): failure = error
            }
        }
        if project.state == .abandoned { _ = try await activate(number) }
        if outcomes.contains(where: { $0.outcome.isSaved }) {
            // One that was not active may be by now.
            try await settle(number, known: project.state == .active ? project : nil)
        }
        if let failure { throw failure }
        return answers
    }
}

extension Result<SaveOutcome, any Error> {
    fileprivate var isSaved: Bool { if case .success(.saved) = self { true } else { false } }
}
