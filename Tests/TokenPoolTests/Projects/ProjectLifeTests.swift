import CouchDB
import CouchDocument
import Testing

@testable import TokenPool

@Suite("Projects are made, changed and deleted")
struct ProjectLifeTests {
    @Test("numbers follow on each other, however many are made at once and by whom")
    func numbers() async throws {
        try await withProjects { projects, _ in
            let desks = [FileDesk(projects), FileDesk(projects)]
            let numbers = try await withThrowingTaskGroup(of: Int.self) { group in
                for index in 0..<20 {
                    group.addTask {
                        try await desks[index % 2].create(ProjectDraft(files: files("a")), owner: "alice").project
                            .number
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(numbers.sorted() == Array(1...20))
        }
    }

    @Test("its files keep their order and attributes, over many requests")
    func order() async throws {
        try await withProjects { projects, _ in
            let wanted = (0..<1234).map { ProjectFile(did("f\($0)"), attributes: ["n": .integer($0)]) }
            let (project, made) = try await projects.create(ProjectDraft(files: wanted), owner: "alice")
            let read = try await projects.files(of: project.number)
            #expect(made.map(\.token.revision) == read.map(\.token.revision))
            #expect(made.map(\.json) == read.map(\.json))
            #expect(read.map(\.did) == wanted.map(\.did) && read.map(\.attributes) == wanted.map(\.attributes))
            #expect(try await projects.counts(of: project.number).counts == [.initial: 1234])
        }
    }

    @Test("what can not be made leaves nothing behind, and what a creator left behind a janitor removes")
    func nothingOrAll() async throws {
        try await withProjects { projects, clock in
            let before = try await projects.database.info().documentCount
            await #expect(throws: PoolError.self) {
                try await projects.create(
                    ProjectDraft(files: files("a", "b", "a")), owner: "alice")
            }
            #expect(try await projects.database.info().documentCount == before)
            // Died after the first half of its files.
            let draft = ProjectDraft(files: files("a", "b"))
            let half = Project(draft, number: 50, owner: "alice", now: clock.now(), until: clock.now() + .seconds(120))
            try await projects.database.save(half.document)
            let file = Project.FileHandle(draft.files[0], at: 0, of: half, rses: ["NEAR"], now: clock.now())
            try await projects.database.save(file.token.document)
            #expect(try await projects.project(50) == nil)
            #expect(try await projects.list(Projects.Selection()).isEmpty)
            #expect(try await FileDesk(projects).next(50) == nil)
            _ = try await projects.pool.sweep()
            #expect(try await projects.database.info().documentCount == before + 2)
            clock.advance(.seconds(121))
            _ = try await projects.pool.sweep()
            #expect(try await projects.database.info().documentCount == before)
        }
    }

    @Test("a restart puts back files by state or by name, and makes the project active again")
    func restart() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a", "b", "c"], at: "NEAR")
            let desk = FileDesk(projects)
            let number = try await desk.create(ProjectDraft(files: files("a", "b", "c")), owner: "alice")
                .project.number
            for (name, result) in [("a", FileResult.done), ("b", .failed), ("c", .failed)] {
                #expect(try await desk.next(number) == name)
                _ = try await desk.release(did(name), of: number, as: result)
            }
            #expect(try await projects.project(number)?.state == .failed)
            let project = try await projects.restart(number, .states([.failed]))
            #expect(project?.state == .active && project?.ended == nil)
            #expect(try await projects.counts(of: number).counts == [.initial: 2, .done: 1])
            await #expect(throws: PoolError.self) {
                try await projects.restart(number, .files([did("a"), did("nope")]))
            }
            #expect(try await projects.counts(of: number)[.done] == 1)
            _ = try await projects.restart(number, .files([did("a")]))
            #expect(try await projects.counts(of: number).counts == [.initial: 3])
            desk.forget(number)
            #expect(try await desk.next(number) == "a")
        }
    }

    @Test("a copy has the files and attributes, what is overridden apart, and is its maker's")
    func copy() async throws {
        try await withProjects { projects, _ in
            var draft = ProjectDraft(
                files: [ProjectFile(did("a"), attributes: ["k": 1, "timeouts": 3])], attributes: ["n": 1, "x": "y"],
                workerTimeout: .seconds(60), users: ["bob"])
            draft.idleTimeout = .seconds(600)
            let number = try await projects.create(draft, owner: "alice").project.number
            let copy = try await projects.copy(
                number, owner: "carol", attributes: ["n": 2], fileAttributes: ["k": 9], workerTimeout: .some(nil))
            let project = try #require(copy?.project)
            #expect(project.owner == "carol" && project.users.isEmpty && project.attributes == ["n": 2, "x": "y"])
            #expect(project.workerTimeout == nil && project.idleTimeout == .seconds(600))
            #expect(copy?.files.first?.attributes == ["k": 9])
            #expect(try await projects.copy(999, owner: "carol") == nil)
        }
    }

    @Test("deleted, nothing is left of it, and its number is nobody else's")
    func delete() async throws {
        try await withProjects { projects, _ in
            let before = try await projects.database.info().documentCount
            let wanted = (0..<700).map { ProjectFile(did("f\($0)")) }
            let number = try await projects.create(ProjectDraft(files: wanted), owner: "alice").project.number
            #expect(try await projects.delete(number))
            #expect(try await projects.delete(number) == false)
            // The counter of numbers stays.
            #expect(try await projects.database.info().documentCount == before + 1)
            #expect(try await projects.create(ProjectDraft(files: []), owner: "alice").project.number == number + 1)
        }
    }

    @Test("lists by owner, state and attributes")
    func list() async throws {
        try await withProjects { projects, _ in
            for (owner, tag) in [("alice", 1), ("alice", 2), ("bob", 1)] {
                let draft = ProjectDraft(files: files("a"), attributes: ["tag": .integer(tag)])
                _ = try await projects.create(draft, owner: owner)
            }
            _ = try await projects.cancel(2)
            func numbers(_ selection: Projects.Selection) async throws -> [Int] {
                try await projects.list(selection).map(\.number)
            }
            #expect(try await numbers(.init()) == [1, 2, 3])
            #expect(try await numbers(.init(owner: "alice")) == [1, 2])
            #expect(try await numbers(.init(owner: "alice", state: .active)) == [1])
            #expect(try await numbers(.init(notState: .cancelled)) == [1, 3])
            #expect(try await numbers(.init(attributes: ["tag": 1])) == [1, 3])
            #expect(try await numbers(.init(owner: "")) == [])
        }
    }

    @Test("a replica that comes while a project is made is not missed")
    func replicasMeanwhile() async throws {
        try await withProjects { projects, _ in
            try await projects.place(["a"], at: "NEAR")
            let draft = ProjectDraft(files: files("a"))
            let (project, made) = try await projects.create(draft, owner: "alice")
            #expect(made[0].rses == ["NEAR"])
            // As if they had come between the look and the write.
            var stale = made[0]
            stale.rses = []
            try await projects.database.save(stale.token.document)
            try await projects.place(["a"], at: "FAR")
            #expect(try await projects.files(of: project.number)[0].rses == ["NEAR", "FAR"])
        }
    }
}
