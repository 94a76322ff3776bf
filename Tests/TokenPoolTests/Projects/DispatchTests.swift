import CouchDB
import CouchDocument
import Testing

@testable import TokenPool

@Suite("Files of projects are handed out")
struct DispatchTests {
    @Test("those tried least often first, then the nearest, then those named first")
    func order() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a", "b", "c"], at: "FAR")
            try await projects.place(["c", "d"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a", "b", "c", "d")), owner: "alice")
                .project.number
            #expect(try await desk.next(number, site: "HERE") == "c")
            _ = try await desk.release(did("c"), of: number, as: .retry)
            var names: [String?] = []
            for _ in 0..<5 { names.append(try await desk.next(number, site: "HERE")) }
            #expect(names == ["d", "a", "b", "c", nil])
        }
    }

    @Test("at another site the same files come in another order")
    func sites() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a"], at: "NEAR")
            try await projects.place(["b"], at: "FAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a", "b")), owner: "alice").project.number
            #expect(try await desk.next(number, site: "THERE") == "b")
            // NEAR is nowhere on THERE's row, but can be read.
            #expect(try await desk.next(number, site: "THERE") == "a")
        }
    }

    @Test("never one without a readable replica, unless the project is virtual; one that comes is seen")
    func readable() async throws {
        try await withProjects { projects, _ in
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a")), owner: "alice").project.number
            #expect(try await desk.next(number) == nil)
            _ = try await projects.add([(did("a"), Replica(rse: "NEAR", url: "x", isAvailable: false))])
            #expect(try await desk.next(number) == nil)
            try await projects.place(["a"], at: "NEAR")
            #expect(try await desk.next(number) == "a")
            let virtual = try await desk.create(
                ProjectDraft(files: files("z"), attributes: ["virtual": "True"]), owner: "alice")
            #expect(try await desk.next(virtual.project.number) == "z")
        }
    }

    @Test("a storage element that goes down takes its files with it at once, and gives them back")
    func down() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a", "b"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a", "b")), owner: "alice").project.number
            #expect(try await desk.next(number) == "a")
            for setting in ["is_available", "is_enabled"] {
                _ = try await projects.change(rse: "NEAR", [setting: false])
                desk.forgetSites()
                #expect(try await desk.next(number) == nil, "\(setting)")
                _ = try await projects.change(rse: "NEAR", [setting: true])
                desk.forgetSites()
            }
            #expect(try await desk.next(number) == "b")
        }
    }

    @Test("no file twice, whichever of two desks a worker asks, and the last return ends the project")
    func exclusive() async throws {
        try await withProjects { projects, _ in
            let names = (0..<60).map { "f\($0)" }
            try await projects.place(names, at: "NEAR")
            try await projects.place(Array(names.prefix(30)), at: "FAR")
            let desks = [FileDesk(projects), FileDesk(projects)]
            let draft = ProjectDraft(files: names.map { ProjectFile(did($0)) })
            let number = try await desks[0].create(draft, owner: "alice").project.number
            let taken = try await withThrowingTaskGroup(of: [String].self) { group in
                for worker in 0..<12 {
                    group.addTask {
                        let desk = desks[worker % 2]
                        var own: [String] = []
                        let site = ["HERE", "THERE", "DEFAULT"][worker % 3]
                        while let name = try await desk.next(number, worker: "w\(worker)", site: site) {
                            own.append(name)
                            guard case .released = try await desk.release(did(name), of: number, as: .done) else {
                                return own + ["\(name) could not be given back"]
                            }
                        }
                        return own
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(taken.sorted() == names.sorted())
            #expect(try await projects.project(number)?.state == .done)
        }
    }

    @Test("a file is given back by who has it, once")
    func release() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a%41 +&/#ü\n:x", "b"], at: "NEAR")
            let desk = FileDesk(projects)
            let name = "a%41 +&/#ü\n:x"
            let number = try await desk.create(ProjectDraft(files: files(name, "b")), owner: "alice").project.number
            #expect(try await desk.next(number, worker: "w1") == name)
            guard case .wrongWorker = try await desk.release(did(name), of: number, as: .done, worker: "w2") else {
                Issue.record("another worker gave it back")
                return
            }
            guard case .released(let file) = try await desk.release(did(name), of: number, as: .done, worker: "w1")
            else {
                Issue.record("it could not be given back")
                return
            }
            #expect(file.state == .done)
            guard case .notReserved = try await desk.release(did(name), of: number, as: .done),
                case .notReserved = try await desk.release(did("b"), of: number, as: .done),
                case .notReserved = try await desk.release(did("nope"), of: number, as: .done),
                case .missing = try await desk.release(did("b"), of: 999, as: .done)
            else {
                Issue.record("what nobody has was given back")
                return
            }
            #expect(try await projects.project(number)?.state == .active)
        }
    }

    @Test("a worker that vanished loses its file when its time is over, and the last one ends the project")
    func timeout() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            let draft = ProjectDraft(files: files("a"), workerTimeout: .seconds(10))
            let number = try await desk.create(draft, owner: "alice").project.number
            #expect(try await desk.next(number) == "a")
            clock.advance(.seconds(9))
            #expect(try await projects.pool.sweep(horizon: .seconds(20)).nextDue == clock.now() + .seconds(1))
            clock.advance(.seconds(1))
            #expect(try await projects.pool.sweep().returned == ["file_\(number)_test:a"])
            #expect(try await desk.next(number) == "a")
            guard case .released = try await desk.release(did("a"), of: number, as: .done) else {
                Issue.record("it could not be given back")
                return
            }
            #expect(try await projects.files(of: number).first?.attributes == ["timeouts": 1])

            let strict = ProjectDraft(
                files: files("a"), attributes: ["retry_on_timeout": false], workerTimeout: .seconds(10))
            let other = try await desk.create(strict, owner: "alice").project.number
            #expect(try await desk.next(other) == "a")
            clock.advance(.seconds(10))
            #expect(try await projects.pool.sweep().givenUp == ["file_\(other)_test:a"])
            #expect(try await projects.project(other)?.state == .failed)
        }
    }

    @Test("an idle project is abandoned when its time is over, and wakes when a worker comes")
    func idle() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a", "b"], at: "NEAR")
            let desk = FileDesk(projects)
            let draft = ProjectDraft(files: files("a", "b"), idleTimeout: .seconds(60))
            let number = try await desk.create(draft, owner: "alice").project.number
            clock.advance(.seconds(50))
            #expect(try await desk.next(number) == "a")
            clock.advance(.seconds(10))
            _ = try await projects.pool.sweep()
            #expect(try await projects.project(number)?.state == .active)
            clock.advance(.seconds(50))
            _ = try await projects.pool.sweep()
            #expect(try await projects.project(number)?.state == .abandoned)
            #expect(try await desk.next(number) == "b")
            #expect(try await projects.project(number)?.state == .active)
        }
    }

    @Test("who waits for a file has it as soon as somebody gives one back, or hears that the project is over")
    func waiting() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a")), owner: "alice").project.number
            #expect(try await desk.next(number) == "a")
            async let next = desk.reserve(
                number, FileDesk.Request(worker: "w2", site: "DEFAULT"), waiting: .seconds(600))
            _ = try await desk.release(did("a"), of: number, as: .retry)
            guard case .reserved(let reservation) = try await next else {
                Issue.record("it was not reserved")
                return
            }
            #expect(reservation.file.workerID == "w2" && reservation.file.attempts == 2)
            async let last = desk.reserve(
                number, FileDesk.Request(worker: "w3", site: "DEFAULT"), waiting: .seconds(600))
            _ = try await desk.release(did("a"), of: number, as: .done)
            guard case .over = try await last else {
                Issue.record("the project is not over")
                return
            }
        }
    }

    @Test("a cancelled project gives out nothing, but takes back what it gave")
    func cancelled() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a", "b"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a", "b")), owner: "alice").project.number
            #expect(try await desk.next(number) == "a")
            _ = try await projects.cancel(number)
            desk.forget(number)
            #expect(try await desk.next(number) == nil)
            guard case .released = try await desk.release(did("a"), of: number, as: .done) else {
                Issue.record("it could not be given back")
                return
            }
            #expect(try await projects.project(number)?.state == .cancelled)
        }
    }

    @Test("a worker that says it lives keeps its files for the time-out from then on; one that does not, does not")
    func renew() async throws {
        try await withProjects { projects, clock in
            try await projects.place(["a", "b", "c"], at: "NEAR")
            let desk = FileDesk(projects)
            let draft = ProjectDraft(files: files("a", "b", "c"), workerTimeout: .seconds(10))
            let number = try await desk.create(draft, owner: "alice").project.number
            for worker in ["w1", "w1", "w2"] { _ = try await desk.next(number, worker: worker) }
            clock.advance(.seconds(9))
            guard case .renewed(let renewal) = try await desk.renew(number, worker: "w1") else {
                Issue.record("it was not renewed")
                return
            }
            #expect(renewal.files.map(\.name) == ["a", "b"])
            clock.advance(.seconds(9))
            #expect(try await projects.pool.sweep().returned == ["file_\(number)_test:c"])
            guard case .renewed(let nothing) = try await desk.renew(number, worker: "w2") else {
                Issue.record("who has nothing is no stranger")
                return
            }
            #expect(nothing.files.isEmpty)
            guard case .released = try await desk.release(did("a"), of: number, as: .done, worker: "w1") else {
                Issue.record("what was renewed can not be given back")
                return
            }
            clock.advance(.seconds(1))
            #expect(try await projects.pool.sweep().returned == ["file_\(number)_test:b"])
            guard case .missing = try await desk.renew(999, worker: "w1"),
                case .refused = try await desk.renew(number, worker: "w1", isAllowed: { _ in false })
            else {
                Issue.record("what is not there or not allowed was renewed")
                return
            }
        }
    }

    @Test("who waits and goes away gets nothing; when waiting ends for all, they hear that there is nothing")
    func leaving() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a")), owner: "alice").project.number
            #expect(try await desk.next(number) == "a")
            let gone = Task {
                try await desk.reserve(
                    number, FileDesk.Request(worker: "gone", site: "DEFAULT"), waiting: .seconds(600))
            }
            gone.cancel()
            await #expect(throws: CancellationError.self) { try await gone.value }
            async let waiting = desk.reserve(
                number, FileDesk.Request(worker: "w2", site: "DEFAULT"), waiting: .seconds(600))
            desk.endWaiting()
            guard case .nothing = try await waiting else {
                Issue.record("there was nothing to give")
                return
            }
        }
    }
}
