import TokenPool

/// What a slot's thread says of its tokens.
enum SlotNews: Sendable {
    /// A command ended; what the slot began at once in its place, if anything was ready.
    case ended(RunControl, begun: RunControl?)
    /// What became of a token whose command has ended.
    case report(RunControl, RunReport)
}

extension TokenRunner {
    /// Runs one token after the other in a slot: the first, and whatever is ready and requires the same when a command
    /// ends. Logs and outputs of one are read while the next one runs. Blocks.
    func work(
        _ first: PreparedRun, slot: Int, ready: ReadyRuns, starts: (RunControl) -> Void,
        tell: @escaping @Sendable (SlotNews) -> Void
    ) {
        var current = start(first, slot: slot)
        while true {
            let (ended, result) = (current, wait(current))
            guard let next = ready.take(after: ended.values.token, now: result.ended) else {
                tell(.ended(ended.control, begun: nil))
                tell(.report(ended.control, finish(ended, result)))
                return
            }
            starts(next.control)
            current = start(next, slot: slot)
            if ended.values.token.leavesLittle, ended.run.isShort {
                // Both at once wakes the pilot's loop only once.
                let report = finish(ended, result)
                tell(.ended(ended.control, begun: next.control))
                tell(.report(ended.control, report))
            } else {
                tell(.ended(ended.control, begun: next.control))
                threads.begin { tell(.report(ended.control, self.finish(ended, result))) }
            }
        }
    }
}

extension PreparedRun {
    /// Whether its logs are read in no time.
    fileprivate var isShort: Bool { output.length + errors.length <= 64 << 10 }
}
