import CouchDocument
import GridData
import Synchronization
import TestSupport
import Testing
import TokenPool

/// A source that says what a test wants.
private final class Told: ReplicaSource {
    enum Word: Sendable {
        case replicas([String: [(rse: String, url: String)]])
        case down
    }
    let name: String
    let batchSize = 3
    // Protects what it says and was asked.
    private let state: Mutex<(word: Word, asked: [String])>

    init(_ name: String, _ replicas: [String: [(rse: String, url: String)]]) {
        self.name = name
        state = Mutex((.replicas(replicas), []))
    }

    func say(_ word: Word) { state.withLock { $0.word = word } }
    var asked: [String] {
        state.withLock { state in
            defer { state.asked = [] }
            return state.asked.sorted()
        }
    }

    func rses() async throws -> [SourceRSE] {
        [SourceRSE(name: "NEW"), SourceRSE(name: "OWN", isEnabled: true), SourceRSE(name: "TNEW", isTape: true)]
    }

    func replicas(of files: [DID], schemes: [String]) async throws -> [DID: [Replica]] {
        let word = state.withLock { state in
            state.asked += files.map(\.name)
            return state.word
        }
        guard case .replicas(let replicas) = word else { throw GridError(.unavailable, "\(name) is down") }
        var found: [DID: [Replica]] = [:]
        for file in files {
            guard let places = replicas[file.name] else { continue }
            found[file] = places.map { place in
                var replica = Replica(rse: place.rse, url: place.url)
                replica.source = name
                return replica
            }
        }
        return found
    }
}

@Suite("Replicas as their sources say")
struct ReplicaSyncTests {
    private func sync(_ projects: Projects, _ sources: Told...) -> ReplicaSync {
        ReplicaSync(projects, sources: sources, settings: .init(), logger: quiet)
    }

    @Test("files of a project can be reserved once a source knows their replicas; what stays the same is not written")
    func journey() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "D")
            let names = (0..<8).map { "f\($0)" }
            let number = try await projects.make(names)
            #expect(try await projects.next(number) == nil)
            let source = Told("s", Dictionary(uniqueKeysWithValues: names.map { ($0, [("D", "root://d//" + $0)]) }))
            let sync = sync(projects, source)
            let outcome = await sync.see(to: number)
            #expect(outcome.isComplete && outcome.waiting == 0)
            #expect(source.asked == names)
            let next = try #require(try await projects.next(number))
            #expect(next.name == "f0" && next.urls == ["root://d//f0"])
            let before = try await projects.writes()
            #expect(await sync.see(to: number).isComplete)
            #expect(try await projects.writes() == before)
        }
    }

    @Test("what a source no longer names goes, and nothing else")
    func goes() async throws {
        try await withProjects { projects, _ in
            for rse in ["D", "E", "F"] { try await projects.make(rse: rse) }
            _ = try await projects.add([(did("a"), Replica(rse: "F", url: "file:///by/hand"))])
            let number = try await projects.make(["a"])
            let (one, two) = (Told("one", ["a": [("D", "d1"), ("E", "e1")]]), Told("two", ["a": [("E", "e2")]]))
            let sync = sync(projects, one, two)
            _ = await sync.see(to: number)
            #expect(
                try await projects.replicas("a").map(\.url) == ["file:///by/hand", "d1", "e1"],
                "the first source counts")
            one.say(.replicas(["a": []]))
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.url) == ["file:///by/hand", "e2"])
            two.say(.replicas([:]))
            _ = await sync.see(to: number)
            #expect(
                try await projects.replicas("a").map(\.url) == ["file:///by/hand", "e2"], "nothing said is not none")
        }
    }

    @Test("a source that is down takes nothing away, and is not asked for ever")
    func down() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "D")
            let names = (0..<20).map { "f\($0)" }
            let number = try await projects.make(names)
            let source = Told("s", Dictionary(uniqueKeysWithValues: names.map { ($0, [("D", "root://d//" + $0)]) }))
            let sync = sync(projects, source)
            _ = await sync.see(to: number)
            let before = try await projects.writes()
            _ = source.asked
            source.say(.down)
            #expect(await sync.see(to: number).isComplete == false)
            #expect(try await projects.writes() == before)
            #expect(source.asked.count < names.count)
            source.say(.replicas(["f1": []]))
            #expect(await sync.see(to: number).isComplete)
            #expect(try await projects.replicas("f1") == [])
            #expect(try await projects.replicas("f2").count == 1)
        }
    }

    @Test("replicas at storage elements that are not enabled are left out, and those known stay as they are")
    func enabled() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "D")
            try await projects.make(rse: "OFF", ["is_enabled": false])
            let number = try await projects.make(["a"])
            let source = Told("s", ["a": [("D", "d"), ("OFF", "off"), ("NOBODY", "x")]])
            let sync = sync(projects, source)
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.rse) == ["D"])
            _ = try await projects.change(rse: "OFF", ["is_enabled": true])
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.rse) == ["D", "OFF"])
            _ = try await projects.change(rse: "OFF", ["is_enabled": false])
            source.say(.replicas(["a": []]))
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.rse) == ["OFF"])
        }
    }

    @Test("a replica on tape is not available because a source names it, and stays so when it was brought to disk")
    func tape() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "T", ["is_tape": true])
            let number = try await projects.make(["a"])
            let source = Told("s", ["a": [("T", "root://t//a")]])
            let sync = sync(projects, source)
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.isAvailable) == [false])
            #expect(try await projects.next(number) == nil)
            _ = try await projects.change([did("a")], at: "T") { $1.isAvailable = true }
            source.say(.replicas(["a": [("T", "root://t//b")]]))
            _ = await sync.see(to: number)
            #expect(try await projects.replicas("a").map(\.isAvailable) == [true])
            #expect(try await projects.next(number)?.urls == ["root://t//b"])
        }
    }

    @Test(
        "only files with which there is something to do are asked for, and of those without replicas alone when told so"
    )
    func wanted() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "D")
            let number = try await projects.make(["a", "b", "c"])
            let virtual = try await projects.make(["v"], attributes: ["virtual": true])
            let source = Told("s", ["a": [("D", "a")], "b": [("D", "b")], "c": []])
            let sync = sync(projects, source)
            #expect(await sync.see(to: number).waiting == 1)
            _ = source.asked
            _ = await sync.see(to: number, onlyWaiting: true)
            #expect(source.asked == ["c"])
            let first = try #require(try await projects.next(number))
            _ = try await FileDesk(projects).release(did(first.name), of: number, as: .done)
            _ = await sync.see(to: number)
            #expect(source.asked == ["a", "b", "c"].filter { $0 != first.name })
            _ = await sync.see(to: virtual)
            #expect(source.asked == [])
        }
    }

    @Test("storage elements that only a source knows are added, disabled unless somebody named them")
    func rses() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "NEW", ["description": "ours"])
            await sync(projects, Told("s", [:])).readRSEs()
            let rses = try await projects.rses()
            #expect(rses.map(\.name) == ["NEW", "OWN", "TNEW"])
            #expect(rses.map(\.isEnabled) == [true, true, false])
            #expect(rses.map(\.isTape) == [false, false, true])
        }
    }

    @Test("two that keep the same pool up to date do not disturb each other")
    func two() async throws {
        try await withProjects { projects, _ in
            try await projects.make(rse: "D")
            let names = (0..<30).map { "f\($0)" }
            let number = try await projects.make(names)
            let source = Told("s", Dictionary(uniqueKeysWithValues: names.map { ($0, [("D", $0)]) }))
            let (one, two) = (sync(projects, source), sync(projects, source))
            async let first = one.see(to: number)
            async let second = two.see(to: number)
            #expect(await first.isComplete)
            #expect(await second.isComplete)
            for name in names { #expect(try await projects.replicas(name).map(\.url) == [name]) }
        }
    }
}
