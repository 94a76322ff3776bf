import CouchDB
import CouchDocument
import Testing

@testable import TokenPool

@Suite("What happened to projects")
struct HistoryTests {
    @Test("the log of a project says what happened to it, when, and who did it")
    func projectLog() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            var draft = ProjectDraft(files: files("a"))
            draft.idleTimeout = .seconds(60)
            let number = try await desk.create(draft, owner: "alice").project.number
            let start = clock.now()
            clock.advance(.seconds(60))
            _ = try await projects.pool.sweep()
            #expect(try await desk.next(number) == "a")
            _ = try await desk.release(did("a"), of: number, as: .failed)
            _ = try await projects.restart(number, .states([.failed]), by: "bob")
            _ = try await projects.cancel(number, by: "carol")
            _ = try await projects.activate(number, by: "root")
            let log = try #require(try await projects.project(number)).log
            #expect(log.map(\.kind) == [.create, .abandon, .wake, .end, .restart, .cancel, .activate])
            #expect(log.map(\.by) == ["alice", nil, nil, nil, "bob", "carol", "root"])
            #expect(log[0].at == start && log[1].at == start + .seconds(60))
            #expect(log[3].details == ["state": "failed"] && log[4].details == ["files": 1])
            let copy = try await projects.copy(number, owner: "dave")
            #expect(copy?.project.log.first?.details == ["copy_of": .integer(number)])
        }
    }

    @Test("a log keeps its last hundred entries")
    func bounded() {
        var project = project()
        for _ in 0..<120 {
            _ = project.cancel(at: Timestamp(seconds: 2000))
            _ = project.activate(at: Timestamp(seconds: 2001), by: "last")
        }
        #expect(project.log.count == Project.logLimit && project.log.last?.by == "last")
    }

    @Test("the log of a file says who had it and what came of it, the one who has it now included")
    func fileLog() throws {
        let project = project(ProjectDraft(files: files("a")))
        let start = Timestamp(seconds: 1000)
        var file = Project.FileHandle(ProjectFile(did("a")), at: 0, of: project, rses: ["NEAR"], now: start)
        func reserve(_ worker: String, _ seconds: Int) throws {
            let claim = file.claim(by: worker, timeout: .seconds(10), at: start + .seconds(seconds))
            file = try #require(Project.FileHandle(claim.token))
        }
        try reserve("w1", 1)
        file.release(.retry, at: start + .seconds(2))
        try reserve("w2", 3)
        file.timeOut(at: start + .seconds(13))
        try reserve("w3", 14)
        file.release(.failed, at: start + .seconds(15))
        file.restart(at: start + .seconds(16))
        try reserve("w4", 17)
        let log = file.log(created: start)
        #expect(
            log.map(\.kind) == [
                .create, .reserve, .failed, .reserve, .timeout, .reserve, .failed, .reset, .reserve,
            ])
        #expect(log.map(\.worker) == [nil, "w1", "w1", "w2", "w2", "w3", "w3", nil, "w4"])
        #expect(
            log.map(\.state) == [
                .initial, .reserved, .initial, .reserved, .initial, .reserved, .failed, .initial, .reserved,
            ])
        #expect(log.map { $0.at.seconds - 1000 } == [0, 1, 2, 3, 13, 14, 15, 16, 17])
    }

    @Test("what happened is counted in parts of time, for a project and for all")
    func activity() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a", "b", "c"], at: "NEAR")
            let desk = FileDesk(projects)
            let start = clock.now()
            let draft = ProjectDraft(files: files("a", "b", "c"), workerTimeout: .seconds(600))
            let number = try await desk.create(draft, owner: "alice").project.number
            _ = try await desk.create(ProjectDraft(files: files("a")), owner: "bob")
            for _ in 0..<3 { _ = try await desk.next(number) }
            _ = try await desk.release(did("a"), of: number, as: .done)
            clock.advance(.seconds(300))
            _ = try await desk.release(did("b"), of: number, as: .retry)
            clock.advance(.seconds(300))
            _ = try await projects.pool.sweep()
            func counts(_ number: Int?, part: Int) async throws -> [[Int]] {
                let window = try #require(
                    ActivityWindow(from: start, to: clock.now() + .seconds(1), part: .seconds(part)))
                return try await projects.activity(of: number, window).map { _, all in
                    [all.created, all.reserved, all.done, all.failed, all.retried, all.timedOut, all.reset]
                }
            }
            let byParts = try await counts(number, part: 300)
            #expect(byParts == [[3, 3, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0]])
            #expect(try await counts(nil, part: 300).first == [4, 3, 1, 0, 0, 0, 0])
            #expect(try await counts(number, part: 86400) == [[3, 3, 1, 0, 1, 1, 0]])
            #expect(try await counts(number, part: 10) == byParts)
            #expect(try await counts(999, part: 10) == [])
        }
    }

    @Test(
        "a stretch of time is looked at in steps of ten seconds, and in no more parts than can be shown",
        arguments: [
            (0, 100, 10, true), (5, 100, 10, true), (0, 0, 10, false), (0, 100, 0, false), (0, 100, 15, false),
            (0, 20_000, 10, true), (0, 20_010, 10, false), (-10, 100, 10, false),
        ])
    func window(from: Int, to: Int, part: Int, isOne: Bool) {
        let window = ActivityWindow(from: Timestamp(seconds: from), to: Timestamp(seconds: to), part: .seconds(part))
        #expect((window != nil) == isOne)
        if let window { #expect(window.start.seconds.isMultiple(of: part)) }
    }

    @Test("a project that came to its end long ago is removed with its files where the pool wants that; others stay")
    func removal() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            var numbers: [Int] = []
            for _ in 0..<3 {
                numbers.append(try await desk.create(ProjectDraft(files: files("a")), owner: "alice").project.number)
            }
            _ = try await projects.cancel(numbers[0])
            clock.advance(.seconds(1000))
            _ = try await projects.cancel(numbers[1])
            clock.advance(.seconds(500))
            let janitor = Janitor(pool: projects.pool)
            #expect(try await janitor.once().closedProjects.isEmpty)
            try await projects.pool.save(JanitorSettings(removeProjectsAfter: .seconds(1500)))
            #expect(try await janitor.once().closedProjects == [numbers[0]])
            #expect(try await projects.list(.init()).map(\.number) == [numbers[1], numbers[2]])
            #expect(try await projects.files(of: numbers[0]).isEmpty)
            #expect(try await projects.files(of: numbers[1]).count == 1)
        }
    }

    @Test("a project whose last file was closed by somebody who died then is ended by a janitor")
    func forgotten() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            let made = try await desk.create(ProjectDraft(files: files("a")), owner: "alice").project
            #expect(try await desk.next(made.number) == "a")
            let call = ReleaseCall(did: did("a"), result: .done, worker: nil, isAllowed: { _ in true })
            _ = try await projects.release([call], in: made, held: [:], now: projects.now)
            #expect(try await projects.project(made.number)?.state == .active)
            #expect(try await Janitor(pool: projects.pool).once().closedProjects == [made.number])
            #expect(try await projects.project(made.number)?.state == .done)
        }
    }

    @Test("the last files of a project, closed at two desks that do not know of each other, end it")
    func twoDesks() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a", "b", "c"], at: "NEAR")
            let desks = [FileDesk(projects), FileDesk(projects)]
            let number = try await desks[0].create(ProjectDraft(files: files("a", "b", "c")), owner: "alice")
                .project.number
            var names: [String] = []
            for desk in [desks[0], desks[1], desks[0]] { names.append(try #require(try await desk.next(number))) }
            for (desk, name) in zip([desks[0], desks[1], desks[0]], names) {
                _ = try await desk.release(did(name), of: number, as: .done)
            }
            let start = ContinuousClock.now
            var state: ProjectState?
            while state != .done, ContinuousClock.now - start < .seconds(30) {
                state = try await projects.project(number)?.state
            }
            #expect(state == .done)
        }
    }

    @Test("what another desk gave to somebody else is given back by who has it now")
    func elsewhere() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a"], at: "NEAR")
            let desks = [FileDesk(projects), FileDesk(projects)]
            let draft = ProjectDraft(files: files("a"), workerTimeout: .seconds(10))
            let number = try await desks[0].create(draft, owner: "alice").project.number
            #expect(try await desks[0].next(number, worker: "w1") == "a")
            clock.advance(.seconds(10))
            _ = try await projects.pool.sweep()
            #expect(try await desks[1].next(number, worker: "w2") == "a")
            guard case .wrongWorker = try await desks[0].release(did("a"), of: number, as: .done, worker: "w1"),
                case .released = try await desks[0].release(did("a"), of: number, as: .done, worker: "w2")
            else {
                Issue.record("it was given back by who has it no more, or not by who has it")
                return
            }
        }
    }
}
