import CouchDB
import CouchDocument
import Logging
import Synchronization
import TokenPool

/// Keeps the replicas of the files that active projects still want as their sources say.
///
/// Writes differences only, on the revision that was read: any number of these may be at work on one pool, and a pool in
/// which nothing changes is not written to. A source that can not be asked, or does not answer to the end, changes nothing.
package final class ReplicaSync: Sendable {
    /// What and how often to ask.
    package struct Settings: Sendable, Hashable {
        /// Only URLs of these schemes, the best first; none takes all as they come.
        package var schemes: [String] = []
        /// All files of a project are asked for so often.
        package var interval = Duration.seconds(600)
        /// Those of which no replica is known, so often.
        package var poll = Duration.seconds(60)
        /// New projects are looked for so often.
        package var look = Duration.seconds(2)
        /// The lists of storage elements are read so often.
        package var rses = Duration.seconds(300)

        /// The defaults.
        package init() {}
    }

    private enum Event: Sendable {
        case tick
        case project(Int, Outcome)
        case rses(isComplete: Bool)
    }
    /// What came of seeing to a project.
    package struct Outcome: Sendable, Hashable {
        /// Whether every source said all.
        package var isComplete = true
        /// Files of which no source knows a replica.
        package var waiting = 0
    }
    private struct Plan {
        var all: ContinuousClock.Instant
        /// `nil`: no file waits.
        var waiting: ContinuousClock.Instant?
        var failures = 0
    }

    private let projects: Projects
    private let sources: [any ReplicaSource]
    private let settings: Settings
    private let logger: Logger
    /// Protects what was told of each source, so that it is told once: the last failure.
    private let troubles = Mutex<[String: String]>([:])
    private static let projectsAtATime = 4
    private static let requestsAtATime = 5
    /// A source that failed so often in a row is left alone until the next time.
    private static let patience = 3

    /// A keeper of the replicas of that pool.
    package init(_ projects: Projects, sources: [any ReplicaSource], settings: Settings, logger: Logger) {
        self.projects = projects
        self.sources = sources
        self.settings = settings
        self.logger = logger
    }

    /// Works until the task is cancelled.
    package func run() async {
        var plans: [Int: Plan] = [:]
        var running: Set<Int> = []
        var enabled: Set<String>?
        var rsesAt = ContinuousClock.now
        var isReadingRSEs = false
        await withTaskGroup(of: Event.self) { group in
            group.addTask { .tick }
            for await event in group {
                if Task.isCancelled { continue }
                switch event {
                case .tick:
                    await look(&plans, &enabled)
                    if rsesAt <= .now, !isReadingRSEs {
                        isReadingRSEs = true
                        group.addTask { [self] in
                            .rses(isComplete: await readRSEs())
                        }
                    }
                    group.addTask { [settings] in
                        do { try await Task.sleep(for: settings.look) } catch { return .tick }
                        return .tick
                    }
                case .rses(let isComplete):
                    isReadingRSEs = false
                    rsesAt = .now + (isComplete ? settings.rses : settings.poll)
                case .project(let number, let outcome):
                    running.remove(number)
                    guard var plan = plans[number] else { break }
                    plan.failures = outcome.isComplete ? 0 : plan.failures + 1
                    plan.waiting = outcome.waiting > 0 ? .now + settings.poll : nil
                    if !outcome.isComplete {
                        // Again sooner than usual, and later each time.
                        let pause = min(settings.interval, settings.poll * (1 << min(plan.failures - 1, 10)))
                        plan.all = min(plan.all, .now + pause)
                    }
                    plans[number] = plan
                }
                for (number, plan) in plans.sorted(by: { $0.key < $1.key })
                where running.count < Self.projectsAtATime && !running.contains(number) {
                    let isAll = plan.all <= .now
                    guard isAll || plan.waiting.map({ $0 <= .now }) ?? false else { continue }
                    if isAll { plans[number]?.all = .now + settings.interval * Double.random(in: 0.9...1.1) }
                    running.insert(number)
                    group.addTask { [self] in .project(number, await see(to: number, onlyWaiting: !isAll)) }
                }
            }
        }
    }

    /// Takes in which projects there are, and whether other storage elements count than before.
    private func look(_ plans: inout [Int: Plan], _ enabled: inout Set<String>?) async {
        do {
            let active = try await projects.activeNumbers()
            plans = plans.filter { active.contains($0.key) }
            for number in active where plans[number] == nil { plans[number] = Plan(all: .now) }
            let now = Set(try await projects.rses().filter(\.isEnabled).map(\.name))
            if let before = enabled, !now.subtracting(before).isEmpty {
                for number in plans.keys { plans[number]?.all = .now }
            }
            enabled = now
            tell("pool", nil)
        } catch { tell("pool", error) }
    }

    /// Asks for the files of a project, and takes over what is said.
    ///
    /// - Parameter onlyWaiting: Only those of which no replica is known.
    package func see(to number: Int, onlyWaiting: Bool = false) async -> Outcome {
        var outcome = Outcome()
        do {
            guard let project = try await projects.project(number), project.state == .active, !project.isVirtual else {
                return outcome
            }
            let pass = Pass()
            defer { for source in sources { tell(source.name, pass.failure(of: source.name)) } }
            let rses = Dictionary(
                try await projects.rses().map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
            try await projects.eachOpenPage(of: number) { page in
                try Task.checkCancellation()
                var files = page
                if onlyWaiting {
                    let known = try await projects.replicas(of: page)
                    files = zip(page, known).filter { $0.1.replicas.isEmpty }.map(\.0)
                }
                let (words, isWhole) = await ask(for: files, pass)
                if !isWhole { outcome.isComplete = false }
                outcome.waiting += files.count - words.count { !$0.replicas.isEmpty }
                try await projects.hear(words, at: rses)
            }
            tell("project \(number)", nil)
        } catch {
            tell("project \(number)", error)
            outcome.isComplete = false
        }
        return outcome
    }

    /// Asks all sources for files.
    ///
    /// - Returns: What they say, and whether all of them said all.
    private func ask(for files: [DID], _ pass: Pass) async -> (words: [SourceWord], isWhole: Bool) {
        typealias Answer = (source: Int, found: [DID: [Replica]]?)
        var answers = [[DID: [Replica]]](repeating: [:], count: sources.count)
        var isWhole = true
        await withTaskGroup(of: Answer.self) { group in
            var running = 0
            func take(_ answer: Answer) {
                if let found = answer.found { answers[answer.source].merge(found) { $1 } } else { isWhole = false }
            }
            for (index, source) in sources.enumerated() {
                for start in stride(from: 0, to: files.count, by: max(1, source.batchSize)) {
                    let some = Array(files[start..<min(start + max(1, source.batchSize), files.count)])
                    if running == Self.requestsAtATime, let answer = await group.next() {
                        take(answer)
                        running -= 1
                    }
                    group.addTask { [self] in (index, await Self.ask(source, some, settings.schemes, pass)) }
                    running += 1
                }
            }
            for await answer in group { take(answer) }
        }
        let words = files.compactMap { did -> SourceWord? in
            var word = SourceWord(did, replicas: [], complete: [])
            for (source, found) in zip(sources, answers) {
                guard let replicas = found[did] else { continue }
                word.replicas += replicas
                word.complete.insert(source.name)
            }
            return word.complete.isEmpty ? nil : word
        }
        return (words, isWhole)
    }

    private static func ask(
        _ source: any ReplicaSource, _ files: [DID], _ schemes: [String], _ pass: Pass
    ) async -> [DID: [Replica]]? {
        guard pass.trusts(source.name) else { return nil }
        do {
            let found = try await source.replicas(of: files, schemes: schemes)
            pass.note(source.name, nil)
            return found
        } catch {
            pass.note(source.name, error)
            return nil
        }
    }

    /// What became of sources while a project was seen to.
    private final class Pass: Sendable {
        private struct State {
            var streak = 0
            var failure: (any Error)?
        }
        /// Protects the counts, for sources are asked several things at a time.
        private let states = Mutex<[String: State]>([:])

        func trusts(_ source: String) -> Bool { states.withLock { $0[source]?.streak ?? 0 } < ReplicaSync.patience }
        func failure(of source: String) -> (any Error)? { states.withLock { $0[source]?.failure } }

        func note(_ source: String, _ error: (any Error)?) {
            states.withLock { states in
                states[source, default: State()].streak = error == nil ? 0 : (states[source]?.streak ?? 0) + 1
                if let error { states[source]?.failure = error }
            }
        }
    }

    /// Adds the storage elements that sources know and the pool does not.
    ///
    /// - Returns: Whether all told theirs.
    @discardableResult
    package func readRSEs() async -> Bool {
        var isComplete = true
        for source in sources {
            do {
                let known = Set(try await projects.rses().map(\.name))
                for found in try await source.rses() where !found.name.isEmpty && !known.contains(found.name) {
                    var rse = RSE(name: found.name)
                    try rse.set(["is_enabled": .bool(found.isEnabled), "is_tape": .bool(found.isTape)])
                    if try await projects.create(rse) != nil {
                        logger.notice(
                            "found a storage element",
                            metadata: [
                                "rse": "\(found.name)", "source": "\(source.name)", "enabled": "\(found.isEnabled)",
                            ])
                    }
                }
                tell(source.name + " (storage elements)", nil)
            } catch {
                isComplete = false
                tell(source.name + " (storage elements)", error)
            }
        }
        return isComplete
    }

    /// Tells a failure once, and once when it is over.
    private func tell(_ subject: String, _ error: (any Error)?) {
        if Task.isCancelled { return }
        let text = error.map { "\($0)" }
        let before = troubles.withLock { troubles in
            defer { troubles[subject] = text }
            return troubles[subject]
        }
        guard text != before else { return }
        if let text {
            logger.warning("replicas are not up to date", metadata: ["of": "\(subject)", "reason": "\(text)"])
        } else if before != nil {
            logger.notice("replicas are up to date again", metadata: ["of": "\(subject)"])
        }
    }
}
