import CouchDB
import CouchDocument
import FoundationEssentials

/// Takes tokens one after the other and gives them to a ``TokenActor``.
public struct ActorRun: Sendable {
    /// The pool.
    public let pool: Pool
    /// Where tokens come from.
    public let source: ClaimSource
    /// Who takes them.
    public let worker: WorkerIdentity
    /// When it ends.
    public let limits: ActorLimits

    /// A run of these parts.
    public init(
        pool: Pool, source: ClaimSource = .view(.picasTodo), worker: WorkerIdentity, limits: ActorLimits = ActorLimits()
    ) {
        self.pool = pool
        self.source = source
        self.worker = worker
        self.limits = limits
    }

    /// Works until a limit is met, the pool is empty or the task is cancelled; then the token in work is given back.
    ///
    /// - Returns: How many tokens were taken.
    /// - Throws: What a hook for the environment threw, or the pool. What goes wrong with a token is written into it.
    @discardableResult
    public func run(_ actor: some TokenActor) async throws -> Int {
        do {
            try await actor.prepareEnvironment()
            let taken = try await work(actor)
            await actor.cleanUpEnvironment()
            return taken
        } catch {
            await actor.cleanUpEnvironment()
            throw error
        }
    }

    private func work(_ actor: some TokenActor) async throws -> Int {
        let begin = pool.clock.now()
        var window = ClaimWindow(order: source.order)
        var taken = 0
        while !Task.isCancelled, taken < limits.tokens ?? .max {
            if let total = limits.totalTime, pool.clock.now() - begin >= total { break }
            if await limits.stop() { break }
            let claims: [ClaimedToken]
            do {
                claims = try await pool.claim(1, from: source, as: worker, lease: limits.lease, window: &window)
            } catch CouchDBError.cancelled { break }
            guard let claim = claims.first else {
                guard let wait = limits.wait else { break }
                do { try await Task.sleep(for: wait) } catch { break }
                continue
            }
            taken += 1
            try await handle(claim, actor)
        }
        return taken
    }

    private func handle(_ claim: ClaimedToken, _ actor: some TokenActor) async throws {
        let started = pool.clock.now()
        var token = claim.token
        var failure: (any Error)?
        do {
            try await actor.prepareRun(token)
            token = try await process(claim, actor)
        } catch { failure = error }
        await actor.cleanUpRun(token)
        // A task of its own: a cancelled one could not give the token back.
        let isCancelled = Task.isCancelled && failure != nil
        let (result, why) = (token, failure)
        try await Task { try await report(claim, result, why, isCancelled, started) }.value
    }

    /// The work itself, beside its time limit and the renewal of its lease; the first of them to end ends the others.
    private func process(_ claim: ClaimedToken, _ actor: some TokenActor) async throws -> Token {
        try await withThrowingTaskGroup(of: Token?.self) { group in
            group.addTask {
                var token = claim.token
                try await actor.process(&token)
                return token
            }
            if let limit = limits.tokenTime {
                group.addTask {
                    try await Task.sleep(for: limit)
                    throw ActorInterruption.timeLimit
                }
            }
            group.addTask {
                try await renew(claim)
                throw ActorInterruption.leaseLost
            }
            defer { group.cancelAll() }
            while let token = try await group.next() { if let token { return token } }
            throw CancellationError()
        }
    }

    /// Keeps the lease until it is lost.
    private func renew(_ claim: ClaimedToken) async throws {
        var held = HeldLease(length: limits.lease, until: claim.lease.until)
        while true {
            let now = pool.clock.now()
            if held.nextEvent > now { try await Task.sleep(for: held.nextEvent - now) }
            guard held.handle(.tick(now: pool.clock.now())) != .stopWork else { return }
            do {
                switch try await pool.renew([claim], for: limits.lease).first {
                case .renewed(let renewed): _ = held.handle(.renewed(until: renewed.lease.until))
                case .failed(let error): throw error
                case .lost, nil: return
                }
            } catch let error as CouchDBError where error.isUncertain || error.code == .tooManyRequests {
                if held.handle(.renewalFailed(now: pool.clock.now())) == .stopWork { return }
            }
        }
    }

    private func report(
        _ claim: ClaimedToken, _ token: Token, _ failure: (any Error)?, _ isCancelled: Bool, _ started: Timestamp
    ) async throws {
        if isCancelled {
            switch limits.onCancel {
            case .todo: try await pool.release([claim], reason: "the program was stopped")
            case .values:
                var result = TokenResult(outcome: .released, started: started, ended: pool.clock.now())
                result.handBack = limits.onCancel
                _ = try await pool.finish(claim, result)
            }
            return
        }
        var claim = claim
        if claim.token.pool.maxAttempts == nil, limits.scrubs > 0 {
            claim.token.pool.maxAttempts = limits.scrubs + 1
        }
        let code = failure == nil ? token.exitCode.flatMap(TokenState.leadingInteger) ?? 0 : nil
        var result = TokenResult(
            outcome: code == 0 ? .done : .failed, exitCode: code, started: started, ended: pool.clock.now(),
            output: token.output == claim.token.output ? nil : token.output)
        if let failure {
            result.messages = ["\(failure)"]
            if (failure as? ActorInterruption) == .timeLimit { result.outcome = .timeLimit }
            if (failure as? ActorInterruption) == .leaseLost { return }
        }
        for (name, value) in token.document.fields
        where TokenResult.mayWrite(name) && name != "output" && value != claim.token[name] {
            result.fields[name] = value
        }
        for name in token.document.attachments.names {
            // Only what was attached now has its content with it.
            guard let stub = token.document.attachments[name],
                let bytes = stub["data"]?.stringValue.flatMap({ Data(base64Encoded: $0) })
            else { continue }
            result.attachments.append(
                .init(
                    name: name, contentType: stub["content_type"]?.stringValue ?? "application/octet-stream",
                    bytes: Array(bytes)))
        }
        let outcome = try await pool.finish(claim, result)
        if case .superseded = outcome { _ = try await pool.keep(result, of: claim) }
    }
}
