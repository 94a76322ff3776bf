import CouchDB
import CouchDocument
import DesignDocuments
import Foundation
import GridData
import Logging
import Synchronization
import TestSupport
import TokenPool

/// A clock that goes when it is told to.
final class SteppedClock: PoolClock {
    private let time = Mutex(Timestamp(seconds: 1_700_000_000))

    func now() -> Timestamp { time.withLock { $0 } }
    func advance(_ duration: Duration) { time.withLock { $0 = $0 + duration } }
}

/// Runs a test with projects in a database of their own.
func withProjects(_ body: (Projects, SteppedClock) async throws -> Void) async throws {
    try await withDatabase { database in
        for design in DesignDocuments.all { try await database.push(design) }
        let clock = SteppedClock()
        try await body(Projects(Pool(database: database, clock: clock)), clock)
    }
}

/// The file `ns:NAME`.
func did(_ name: String) -> DID { DID(namespace: "ns", name: name)! }

let quiet = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

extension Projects {
    /// Makes a project of files `ns:NAME` and answers its number.
    func make(_ names: [String], attributes: JSONObject = [:]) async throws -> Int {
        let draft = ProjectDraft(files: names.map { ProjectFile(did($0)) }, attributes: attributes)
        return try await create(draft, owner: "alice").project.number
    }

    /// Makes a storage element.
    func make(rse: String, _ values: JSONObject = [:]) async throws {
        var made = RSE(name: rse)
        try made.set(values)
        _ = try await create(made)
    }

    /// Reserves a file as a desk does that knows nothing yet; its name and the URLs at which it can be read.
    func next(_ number: Int) async throws -> (name: String, urls: [String])? {
        guard case .reserved(let reservation) = try await FileDesk(self).reserve(number, .init(worker: "w", site: "X"))
        else { return nil }
        return (reservation.file.name, reservation.replicas.map(\.replica.url))
    }

    /// The replicas of a file.
    func replicas(_ name: String) async throws -> [Replica] { try await replicas(of: [did(name)])[0].replicas }

    /// What was written so far: another text when something was.
    func writes() async throws -> String { try await database.info().updateSequence.description }
}

/// Writes a text into a file of its own in a folder of the test.
struct ScratchFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "grid-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ text: String = "x") throws -> String {
        let file = path + "/" + name
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(filePath: file))
        return file
    }
}
