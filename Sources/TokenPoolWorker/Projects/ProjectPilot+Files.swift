import CouchDocument
import DispatcherClient
import Synchronization
import TokenPool

// What a pilot does with a file that it has.
extension ProjectPilot {
    func process(_ command: FileCommand, _ run: FileRun, _ slot: Int) async {
        tell(.started(did: command.did, attempt: command.attempt))
        let began = clock.now()
        var code: Int?
        do {
            code = try await execute(command, run)
        } catch {
            // No other file would fare better.
            end(with: error)
        }
        let time = clock.now() - began
        let wanted = outcome(code, command, run)
        let outcome = await release(command.did, as: wanted, run)
        shared.withLock { $0.runs[slot] = nil }
        if let outcome { tell(.ended(did: command.did, outcome, exitCode: code, time: time)) }
        await rest(slot, after: wanted)
    }

    private func execute(_ command: FileCommand, _ run: FileRun) async throws -> Int {
        let arguments = try command.arguments()
        let spec = ChildSpec(
            arguments: arguments, environment: command.environment(), folder: options.folder, output: options.output,
            errors: options.errors)
        let limit = options.timeLimit.map { [grace = options.grace] limit in
            Task {
                try await Task.sleep(for: limit)
                run.end(because: .timeLimit, grace: grace)
            }
        }
        defer { limit?.cancel() }
        return try await threads.run {
            try command.writeInformation()
            do { return try run.run(spec) } catch let error as SpawnError {
                throw ProjectPilotError(code: .command, description: "\(error)")
            }
        }
    }

    private func outcome(_ code: Int?, _ command: FileCommand, _ run: FileRun) -> FileOutcome {
        switch run.endReason {
        case .lost: return .lost
        case .pilotEnds: return .returned
        case .timeLimit, nil: break
        }
        guard let code else { return .returned }
        if code == 0, run.endReason == nil { return .done }
        if options.finalCodes.contains(code) { return .failed }
        if let most = options.maxAttempts, command.attempt >= most { return .failed }
        return .retry
    }

    /// Gives a file back.
    ///
    /// - Returns: What became of it; `nil` when the server could not be told.
    private func release(_ did: String, as outcome: FileOutcome, _ run: FileRun) async -> FileOutcome? {
        let verdict: FileVerdict
        switch outcome {
        case .done: verdict = .done
        case .failed: verdict = .failed
        case .retry, .returned: verdict = .retry
        case .lost: return .lost
        }
        // Whether an earlier request may have done it already.
        let wasSent = Flag()
        do {
            try await retrying {
                do {
                    try await self.client.release(
                        did, of: self.options.project, as: verdict, worker: self.options.worker)
                } catch let error as DispatcherError where error.code == .interrupted {
                    wasSent.set()
                    throw error
                }
            }
            return outcome
        } catch let error as DispatcherError where error.code == .notFound || error.code == .forbidden {
            if error.code == .notFound, wasSent.isSet { return outcome }
            tell(.trouble("\(did): \(error.reason)"))
            return .lost
        } catch {
            tell(.trouble("\(did) can not be given back: \(error)"))
            shared.withLock { $0.left.append(did) }
            end(with: error)
            return nil
        }
    }

    /// A command that fails again and again must not spin.
    private func rest(_ slot: Int, after outcome: FileOutcome) async {
        let count = shared.withLock { shared in
            shared.failures[slot] = outcome == .retry ? (shared.failures[slot] ?? 0) + 1 : nil
            return shared.failures[slot] ?? 0
        }
        guard count > 3, !isStopping else { return }
        // Cancelled by a signal at most: then there is nothing to wait for.
        try? await patience.pause(min(.milliseconds(100 << min(count - 4, 10)), .seconds(10)))
    }

    /// Gives back what was reserved for us and we never heard of.
    func giveBackUnknown() async {
        shared.withLock { $0.mayHoldMore = false }
        do {
            let held = Set(shared.withLock { $0.runs.values.map(\.did) })
            let reserved = try await retrying {
                try await self.client.reserved(project: self.options.project, worker: self.options.worker)
            }
            for handle in reserved where !held.contains(handle.did) {
                try await client.release(handle.did, of: options.project, as: .retry, worker: options.worker)
            }
        } catch {
            tell(.trouble("files whose reservation got lost on its way can not be given back: \(error)"))
        }
    }

    /// Renews the reservations now and then until the task is cancelled.
    func beat(every pause: Duration) async {
        while true {
            do { try await Task.sleep(for: pause) } catch { return }
            let before = shared.withLock { $0.runs }
            guard !before.isEmpty else { continue }
            do {
                guard let renewed = try await client.renew(project: options.project, worker: options.worker) else {
                    return tell(.trouble("the server renews no reservations: files come back when their time is over"))
                }
                let ours = Set(renewed)
                // Only what was ours all the time counts.
                let held = shared.withLock { shared in before.filter { shared.runs[$0.key] === $0.value } }
                for run in held.values where !ours.contains(run.did) { run.end(because: .lost, grace: options.grace) }
            } catch is CancellationError {
                return
            } catch {
                if Task.isCancelled { return }
                tell(.trouble("renewing the reservations failed: \(error)"))
            }
        }
    }
}
