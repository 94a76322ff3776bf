import CouchDocument
import Testing

@testable import TokenPool

@Suite("The states of a project")
struct ProjectTests {
    private let start = Timestamp(seconds: 1000)

    private func idle(_ seconds: Int?) -> Project {
        project(ProjectDraft(files: files("a"), idleTimeout: seconds.map { .seconds($0) }))
    }

    @Test("nobody sees it while its files are written")
    func creating() {
        let project = Project(ProjectDraft(files: []), number: 1, owner: "alice", now: start, until: start)
        #expect(project.state == .creating && !project.state.isVisible)
    }

    /// A project after its end was looked for.
    private func ended(_ counts: FileCounts, _ project: Project = project()) -> (changed: Bool, project: Project) {
        var project = project
        let changed = project.end(counts, at: start)
        return (changed, project)
    }

    @Test("active → done when no file is open, failed when one failed; not before")
    func end() {
        for counts in [FileCounts([.done: 1, .reserved: 1]), FileCounts([.failed: 1, .initial: 1])] {
            #expect(!ended(counts).changed && ended(counts).project.state == .active)
        }
        let done = ended(FileCounts([.done: 2]))
        #expect(done.changed && done.project.state == .done && done.project.ended == start)
        #expect(ended(FileCounts([.done: 1, .failed: 1])).project.state == .failed)
    }

    @Test("a project without files does not end by itself")
    func empty() {
        let after = ended(FileCounts(), project(ProjectDraft(files: [])))
        #expect(!after.changed && after.project.state == .active)
    }

    @Test("any → cancelled, once; cancelled → active, the moment of its end stays")
    func cancel() {
        var project = project()
        let changes = [1, 2].map { project.cancel(at: start + .seconds($0)) }
        #expect(changes == [true, false] && project.state == .cancelled && project.ended == start + .seconds(1))
        #expect(!ended(FileCounts([.done: 2]), project).changed)
        let activations = [3, 4].map { project.activate(at: start + .seconds($0)) }
        #expect(activations == [true, false] && project.state == .active && project.ended == start + .seconds(1))
    }

    @Test("active → abandoned when nothing happened for too long; what happens to files puts it off")
    func abandon() {
        var project = idle(60)
        let busy = FileCounts([.initial: 1], lastActivity: start + .seconds(50))
        let later = project.abandon(busy, at: start + .seconds(60))
        #expect(later && project.state == .active && project.idleAt == start + .seconds(110))
        let early = project.abandon(busy, at: start + .seconds(109))
        #expect(!early)
        let over = project.abandon(busy, at: start + .seconds(110))
        #expect(over && project.state == .abandoned)
        var endless = idle(nil)
        let never = endless.abandon(FileCounts(), at: start + .seconds(1_000_000_000))
        #expect(!never)
    }

    @Test("a restart makes an ended project active when it has something to do, and always writes")
    func restart() {
        var project = project()
        _ = project.end(FileCounts([.failed: 2]), at: start)
        let before = project
        project.restart(0, FileCounts([.failed: 2]), at: start)
        #expect(project.state == .failed && project != before)
        project.restart(1, FileCounts([.failed: 1, .initial: 1]), at: start)
        #expect(project.state == .active && project.ended == nil)
    }

    @Test("its page has every key, and seconds with a fraction")
    func page() {
        let json = project(ProjectDraft(files: files("a"), workerTimeout: .seconds(43200))).json(hasOpenFiles: true)
        #expect(
            json.names == [
                "project_id", "owner", "state", "retry_count", "attributes", "created_timestamp", "ended_timestamp",
                "active", "query", "worker_timeout", "idle_timeout", "users", "roles",
            ])
        #expect(json["worker_timeout"]?.description == "43200.0" && json["idle_timeout"] == .null)
        #expect(json["active"] == true)
    }

    @Test("a file that is in the list twice is refused")
    func twice() {
        #expect(throws: PoolError.self) { try ProjectDraft(files: files("a", "b", "a")).check() }
    }

    @Test("a site without a row has that of all sites; in a row what it does not name has that of all, or none")
    func proximity() {
        let map = ProximityMap([("DEFAULT", "DEFAULT", 100), ("DEFAULT", "T", 7), ("S", "A", 10)])
        #expect(map.proximity(of: "A", to: "S") == 10 && map.proximity(of: "T", to: "S") == nil)
        #expect(map.proximity(of: "A", to: "other") == 100 && map.proximity(of: "T", to: "other") == 7)
    }
}
