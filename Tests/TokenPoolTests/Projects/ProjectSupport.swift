import CouchDB
import CouchDocument

@testable import TokenPool

/// Files `test:NAME` of these names.
func files(_ names: String...) -> [ProjectFile] { names.map { ProjectFile(did($0)) } }

/// The file `test:NAME`.
func did(_ name: String) -> DID { DID(namespace: "test", name: name)! }

/// A project document of these files, already visible.
func project(
    _ draft: ProjectDraft = ProjectDraft(files: files("a", "b")), at now: Timestamp = Timestamp(seconds: 1000)
) -> Project {
    var project = Project(draft, number: 7, owner: "alice", now: now, until: now)
    project.appear(at: now)
    return project
}

/// Runs a test with projects in a database of their own: storage elements near and far, all up.
func withProjects(_ body: (Projects, ManualClock) async throws -> Void) async throws {
    try await withPool { pool, clock in
        let projects = Projects(pool)
        for name in ["NEAR", "FAR"] { _ = try await projects.create(RSE(name: name)) }
        try await projects.save(
            ProximityMap([("DEFAULT", "DEFAULT", 100), ("HERE", "NEAR", 1), ("HERE", "FAR", 50), ("THERE", "FAR", 1)]))
        try await body(projects, clock)
    }
}

extension Projects {
    /// Makes files readable at a storage element.
    func place(_ names: [String], at rse: String) async throws {
        _ = try await add(names.map { (did($0), Replica(rse: rse, url: "root://\(rse)/\($0)")) })
    }
}

extension FileDesk {
    /// Reserves a file and answers its name; `nil` when there is none.
    func next(_ number: Int, worker: String = "w", site: String = "DEFAULT") async throws -> String? {
        guard case .reserved(let reservation) = try await reserve(number, Request(worker: worker, site: site)) else {
            return nil
        }
        return reservation.file.name
    }
}
