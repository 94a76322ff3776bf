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
    /// Gives files of a project back: reads them together and writes them together.
    ///
    /// - Parameter held: Who had files a moment ago; others are looked up. What has changed since is found out by the write,
    ///   and looked up then.
    func release(
        _ calls: [ReleaseCall], in project: Project, held: [DID: ClaimedToken], now: Timestamp
    ) async throws -> [Result<ReleaseAnswer, any Error>] {
        var answers = [Result<ReleaseAnswer, any Error>](repeating: .success(.notReserved), count: calls.count)
        var open: [Int] = []
        for (index, call) in calls.enumerated() {
            if try await call.isAllowed(project) { open.append(index) } else { answers[index] = .success(.refused) }
        }
        var known = held
        for round in 0..<2 where !open.isEmpty {
            // What was known of a file may be old: who has it now stands in the document.
            var doubtful: [Int] = []
            let unknown = open.map { calls[$0].did }.filter { known[$0] == nil }
            if !unknown.isEmpty {
                for (did, file) in zip(unknown, try await files(unknown, of: project.number)) {
                    known[did] = file?.claim
                }
            }
            var claims: [(index: Int, claim: ClaimedToken)] = []
            var taken: Set<DID> = []
            for index in open {
                let call = calls[index]
                guard let claim = known[call.did] else { continue }
                if let worker = call.worker, worker != claim.lease.worker {
                    answers[index] = .success(.wrongWorker)
                    if round == 0, held[call.did] != nil { doubtful.append(index) }
                } else if taken.insert(call.did).inserted {
                    claims.append((index, claim))
                }
            }
            for ((index, claim), outcome) in zip(claims, try await write(claims, calls, now)) {
                switch outcome {
                case .success(.saved(let token)):
                    if let file = Project.FileHandle(token) { answers[index] = .success(.released(file)) }
                case .success(.superseded):
                    if round == 0, held[calls[index].did]?.lease == claim.lease { doubtful.append(index) }
                case .failure(let error): answers[index] = .failure(error)
                }
            }
            open = doubtful.sorted()
            for index in open {
                known[calls[index].did] = nil
                answers[index] = .success(.notReserved)
            }
        }
        return answers
    }

    private func write(
        _ claims: [(index: Int, claim: ClaimedToken)], _ calls: [ReleaseCall], _ now: Timestamp
    ) async throws -> [Result<SaveOutcome, any Error>] {
        guard !claims.isEmpty else { return [] }
        let results = Dictionary(claims.map { ($0.claim.lease.id, calls[$0.index].result) }, uniquingKeysWith: { $1 })
        return try await pool.write(claims.map(\.claim)) { claim, token in
            guard let result = results[claim.lease.id], var file = Project.FileHandle(token) else { return }
            file.release(result, at: now)
            token = file.token
        }.map(\.outcome)
    }
}
