import CouchDocument
import GridData
import TestSupport
import Testing
import TokenPool

@Suite("Staging from tape")
struct StagingDeskTests {
    private static func path(_ name: String) -> String { "/t/" + name }

    /// Runs a test with files on tape, and a way to make desks for them.
    private func withTape(
        _ names: [String], _ settings: StagingDesk.Settings = .init(),
        _ body: (Projects, SteppedClock, TapeStandIn, @escaping () -> StagingDesk) async throws -> Void
    ) async throws {
        try await withProjects { projects, clock in
            let storage = TapeStandIn()
            try await projects.make(rse: "T", ["is_tape": true])
            for name in names {
                _ = try await projects.add([
                    (did(name), Replica(rse: "T", url: "root://t//t/" + name, isAvailable: false))
                ])
            }
            let url = storage.url
            try await body(projects, clock, storage) {
                StagingDesk(
                    projects,
                    places: ["T": .init(settings: settings) { _ in try WLCGTape(WebAccess(url: url)) }], logger: quiet)
            }
        }
    }

    @Test("a file on tape is handed out when it is online, not before; what is done is let go")
    func journey() async throws {
        try await withTape(["a b&%é", "c"]) { projects, _, storage, makeDesk in
            let number = try await projects.make(["a b&%é", "c"])
            let desk = makeDesk()
            await desk.turn()
            #expect(storage.pins == ["/t/a b&%é": 1, "/t/c": 1])
            #expect(try await projects.next(number) == nil)
            storage.bring("/t/c")
            await desk.turn()
            #expect(try await projects.next(number)?.urls == ["root://t//t/c"])
            #expect(try await projects.next(number) == nil)
            _ = try await FileDesk(projects).release(did("c"), of: number, as: .done)
            await desk.turn()
            #expect(storage.pins == ["/t/a b&%é": 1])
            #expect(try await projects.replicas("c").map(\.isAvailable) == [false])
            storage.bring("/t/a b&%é")
            await desk.turn()
            #expect(try await projects.next(number)?.name == "a b&%é")
            _ = try await FileDesk(projects).release(did("a b&%é"), of: number, as: .done)
            await desk.turn()
            #expect(storage.pins == [:] && storage.requests == [:])
        }
    }

    @Test("only what is new is asked for, and a turn without news writes and asks nothing")
    func difference() async throws {
        try await withTape(["a", "b", "c"]) { projects, _, storage, makeDesk in
            _ = try await projects.make(["a", "b"])
            let desk = makeDesk()
            await desk.turn()
            let (writes, calls) = (try await projects.writes(), storage.calls("/api/v1").count)
            await desk.turn(polling: false)
            #expect(try await projects.writes() == writes)
            #expect(storage.calls("/api/v1").count == calls)
            await desk.turn()
            #expect(try await projects.writes() == writes)
            let second = try await projects.make(["b", "c"])
            await desk.turn(polling: false)
            #expect(storage.requests == ["r1": ["/t/a", "/t/b"], "r2": ["/t/c"]])
            _ = try await projects.cancel(second)
            await desk.turn()
            #expect(storage.requests == ["r1": ["/t/a", "/t/b"]])
        }
    }

    @Test("a desk that comes after another goes on with its requests, and nothing is asked for twice")
    func restart() async throws {
        try await withTape(["a", "b"]) { projects, clock, storage, makeDesk in
            let number = try await projects.make(["a", "b"])
            await makeDesk().turn()
            storage.bring("/t/a")
            let next = makeDesk()
            await next.turn()
            #expect(try await projects.next(number) == nil, "the one before may still be at it")
            clock.advance(.seconds(61))
            await next.turn()
            #expect(try await projects.next(number)?.name == "a")
            #expect(storage.pins == ["/t/a": 1, "/t/b": 1])
            #expect(storage.calls("/api/v1/stage").filter { $0.method == "POST" }.count == 1)
        }
    }

    @Test("of several desks one is at work")
    func several() async throws {
        let names = (0..<12).map { "f\($0)" }
        try await withTape(names) { projects, _, storage, makeDesk in
            _ = try await projects.make(names)
            let desks = (0..<4).map { _ in makeDesk() }
            await withTaskGroup(of: Void.self) { group in
                for desk in desks { group.addTask { for _ in 0..<3 { await desk.turn() } } }
            }
            #expect(storage.pins == Dictionary(uniqueKeysWithValues: names.map { (Self.path($0), 1) }))
        }
    }

    @Test("a file that does not come is shown with the reason, and asked for again after pauses that grow")
    func failure() async throws {
        try await withTape(["a", "b"]) { projects, clock, storage, makeDesk in
            let number = try await projects.make(["a", "b"])
            storage.spoil("/t/a", "tape is torn")
            let desk = makeDesk()
            await desk.turn()
            await desk.turn()
            let failed = try #require(try await projects.replicas("a").first?.staging)
            #expect(failed.reason == "tape is torn" && failed.tries == 1 && failed.next == clock.now() + .seconds(60))
            #expect(storage.calls("/api/v1/stage").filter { $0.method == "POST" }.count == 1)
            clock.advance(.seconds(61))
            await desk.turn()
            await desk.turn()
            let again = try #require(try await projects.replicas("a").first?.staging)
            #expect(again.tries == 2 && again.next == clock.now() + .seconds(120))
            #expect(storage.calls("/api/v1/stage").filter { $0.method == "POST" }.count == 2)
            storage.spoil("/t/a", nil)
            storage.bring("/t/a")
            clock.advance(.seconds(121))
            await desk.turn()
            await desk.turn()
            #expect(try await projects.replicas("a").first?.staging == nil)
            #expect(try await projects.next(number)?.name == "a")
        }
    }

    @Test("requests are renewed before their end; those whose end has passed are made anew")
    func life() async throws {
        try await withTape(["a"]) { projects, clock, storage, makeDesk in
            let number = try await projects.make(["a"])
            storage.bring("/t/a")
            let desk = makeDesk()
            await desk.turn()
            await desk.turn()
            for _ in 0..<3 {
                clock.advance(.seconds(3000))
                await desk.turn()
                #expect(storage.pins == ["/t/a": 1] && storage.requests.count == 1)
                #expect(try await projects.replicas("a").map(\.isAvailable) == [true])
            }
            #expect(storage.calls("/api/v1/stage").filter { $0.method == "POST" }.count == 4)
            storage.forget()
            clock.advance(.seconds(4000))
            await desk.turn()
            await desk.turn()
            #expect(storage.pins == ["/t/a": 1])
            #expect(try await projects.next(number)?.name == "a")
        }
    }

    @Test("what the storage has forgotten is asked for again")
    func forgotten() async throws {
        try await withTape(["a"]) { projects, _, storage, makeDesk in
            _ = try await projects.make(["a"])
            let desk = makeDesk()
            await desk.turn()
            storage.fail("/api/v1/stage", with: .status(404, "<html>"))
            await desk.turn()
            await desk.turn()
            #expect(storage.requests.count == 1, "once may be a mistake")
            storage.forget()
            await desk.turn()
            #expect(storage.pins == [:])
            await desk.turn()
            #expect(storage.pins == ["/t/a": 1])
        }
    }

    @Test("a storage that is down is asked again later, and takes nothing away")
    func down() async throws {
        try await withTape(["a", "b"]) { projects, clock, storage, makeDesk in
            let number = try await projects.make(["a"])
            storage.bring("/t/a")
            let desk = makeDesk()
            await desk.turn()
            await desk.turn()
            let second = try await projects.make(["b"])
            storage.fail(
                "/api/v1", with: .status(500, "x"), .status(502, "x"), .status(503, "x"), .status(503, "x"))
            await desk.turn()
            await desk.turn()
            #expect(storage.pins == ["/t/a": 1])
            #expect(try await projects.next(number)?.name == "a")
            storage.bring("/t/b")
            for _ in 0..<8 {
                clock.advance(.seconds(300))
                await desk.turn()
            }
            #expect(storage.pins == ["/t/a": 1, "/t/b": 1])
            #expect(try await projects.next(second)?.name == "b")
        }
    }

    @Test("no more files are asked for at a time than may be, the rest as they are done")
    func most() async throws {
        let names = (0..<7).map { "f\($0)" }
        var settings = StagingDesk.Settings()
        settings.most = 3
        settings.batch = 2
        try await withTape(names, settings) { projects, _, storage, makeDesk in
            let number = try await projects.make(names)
            for name in names { storage.bring(Self.path(name)) }
            let desk = makeDesk()
            var done: [String] = []
            while done.count < names.count {
                await desk.turn()
                await desk.turn()
                #expect(storage.pins.count <= 3)
                let next = try #require(try await projects.next(number))
                done.append(next.name)
                _ = try await FileDesk(projects).release(did(next.name), of: number, as: .done)
            }
            await desk.turn()
            #expect(done == names && storage.pins == [:])
        }
    }

    @Test("a file that is put back is asked for again")
    func restarted() async throws {
        try await withTape(["a", "b"]) { projects, _, storage, makeDesk in
            let number = try await projects.make(["a", "b"])
            for name in ["a", "b"] { storage.bring(Self.path(name)) }
            let desk = makeDesk()
            await desk.turn()
            await desk.turn()
            let first = try #require(try await projects.next(number))
            _ = try await FileDesk(projects).release(did(first.name), of: number, as: .done)
            await desk.turn()
            #expect(storage.pins.count == 1)
            _ = try await projects.restart(number, .files([did(first.name)]))
            await desk.turn(polling: false)
            #expect(storage.pins.count == 2)
        }
    }
}
