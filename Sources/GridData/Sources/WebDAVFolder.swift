import CouchDB
import CouchDocument
import Synchronization
import TokenPool

/// A folder of a WebDAV server as a source: a file is there or not.
package final class WebDAVFolder: ReplicaSource {
    /// How it is found out what is there.
    package enum Look: String, Sendable, CaseIterable {
        /// `HEAD` for each file.
        case files
        /// `PROPFIND` for each folder in which a file should be.
        case folders
        /// One `PROPFIND` of everything below the folder; not every server answers that.
        case tree
    }

    package let name: String
    package var batchSize: Int { look == .files ? 200 : 2000 }
    private let rse: String
    private let layout: FolderLayout
    private let look: Look
    private let service: WebService
    /// The URL up to the folder, without a slash at its end.
    private let url: String
    /// The folder's path on the server, percent-decoded.
    private let root: String

    private struct Listed {
        let files: Set<[UInt8]>
        let at: ContinuousClock.Instant
    }
    /// Protects what was listed a moment ago, for the batches that follow.
    private let listed = Mutex<[String: Listed]>([:])
    private static let memory = Duration.seconds(60)
    private static let requestsAtATime = 8
    private static let largestListing = 1 << 29
    private static let question = """
        <?xml version="1.0" encoding="utf-8"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/></D:prop></D:propfind>
        """

    /// A folder: the URL of the access.
    package init(name: String, rse: String, access: WebAccess, layout: FolderLayout, look: Look) throws {
        self.name = name
        self.rse = rse
        self.layout = layout
        self.look = look
        service = try WebService(access, kind: "WebDAV")
        guard let (server, path) = WebAddress.split(access.url) else {
            throw GridError(.badInput, "\"\(WebAddress.shown(access.url))\" is no URL")
        }
        var place = path.prefix { $0 != "?" }
        while place.hasSuffix("/") { place.removeLast() }
        guard let root = DAVListing.decoded(place) else {
            throw GridError(.badInput, "\"\(WebAddress.shown(access.url))\": its path is no text")
        }
        self.root = root
        self.url = WebAddress.shown(server) + WebAddress.encoded(path: root)
    }

    package func rses() async throws -> [SourceRSE] { [SourceRSE(name: rse, isEnabled: true)] }

    package func replicas(of files: [DID], schemes: [String]) async throws -> [DID: [Replica]] {
        let paths = files.map { layout.path(of: $0) }
        let there =
            switch look {
            case .files: try await heads(paths)
            case .folders: try await inFolders(paths)
            case .tree: try await inTree(paths)
            }
        if !there.contains(true) { try await checkRoot() }
        var found: [DID: [Replica]] = [:]
        for (did, (path, isThere)) in zip(files, zip(paths, there)) {
            guard let path, isThere else {
                found[did] = []
                continue
            }
            found[did] =
                replica(at: rse, [url + "/" + WebAddress.encoded(path: path)], schemes: []).map { [$0] } ?? []
        }
        return found
    }

    /// Where nothing is, the folder itself may be gone: then nothing is known.
    private func checkRoot() async throws {
        do {
            _ = try await service.request(
                "PROPFIND", "/", headers: [("Depth", "0"), ("Accept", "application/xml, text/xml")])
        } catch let error as GridError where error.code == .notFound {
            throw GridError(.unavailable, "\(service.name): the folder of source \"\(name)\" is not there")
        } catch let error as GridError where error.code == .refused && look == .files {
            // A plain web server has no folders to ask for.
        }
    }

    private func heads(_ paths: [String?]) async throws -> [Bool] {
        try await inParallel(paths) { [service] path in
            do {
                _ = try await service.request(
                    "HEAD", "/" + WebAddress.encoded(path: path), headers: [("Accept", "*/*")])
                return true
            } catch let error as GridError where error.code == .notFound { return false }
        }.map { $0 ?? false }
    }

    private func inFolders(_ paths: [String?]) async throws -> [Bool] {
        let folders = Set(paths.compactMap { $0 }.map(Self.parent)).sorted()
        let lists = try await inParallel(folders) { [self] in try await files(in: $0, depth: "1") }
        let byFolder = Dictionary(uniqueKeysWithValues: zip(folders, lists.map { ($0 ?? nil) ?? [] }))
        return paths.map { path in path.map { byFolder[Self.parent($0)]?.contains(Array($0.utf8)) == true } ?? false }
    }

    private func inTree(_ paths: [String?]) async throws -> [Bool] {
        guard let all = try await files(in: "", depth: "infinity") else {
            throw GridError(.unavailable, "\(service.name): the folder of source \"\(name)\" is not there")
        }
        return paths.map { path in path.map { all.contains(Array($0.utf8)) } ?? false }
    }

    private static func parent(_ path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? ""
    }

    /// The files below a folder, by their paths below the source's; `nil` when it is not there.
    private func files(in folder: String, depth: String) async throws -> Set<[UInt8]>? {
        if let known = listed.withLock({ $0[folder] }), .now - known.at < Self.memory { return known.files }
        let path = folder.isEmpty ? "/" : "/" + WebAddress.encoded(path: folder) + "/"
        let headers = [
            ("Depth", depth), ("Content-Type", "application/xml; charset=utf-8"),
            ("Accept", "application/xml, text/xml"),
        ]
        let places: [DAVListing.Place]
        do {
            let answer = try await service.stream(
                "PROPFIND", path, headers: headers, body: .bytes(Array(Self.question.utf8)))
            guard answer.status == 207 else {
                throw GridError(
                    .badAnswer, "\(service.name): PROPFIND \(path): \(answer.status) where 207 was expected")
            }
            places = try DAVListing.places(in: try await answer.body.bytes(upTo: Self.largestListing))
        } catch let error as GridError where error.code == .notFound {
            return nil
        } catch let error as CouchDBError { throw service.failure(error) } catch let fault as DAVListing.Fault {
            throw GridError(.badAnswer, "\(service.name): PROPFIND \(path): \(fault.reason)")
        }
        // Equal bytes are equal names, whatever Unicode says.
        let top = Array(root.utf8) + [UInt8(ascii: "/")]
        let files = Set(
            places.lazy.filter { !$0.isCollection && $0.path.utf8.starts(with: top) }
                .map { Array($0.path.utf8.dropFirst(top.count)) })
        listed.withLock { listed in
            listed = listed.filter { .now - $0.value.at < Self.memory }
            if listed.count >= 64 { listed = [:] }
            listed[folder] = Listed(files: files, at: .now)
        }
        return files
    }

    /// Does something for all, some at a time; what is `nil` is passed over.
    private func inParallel<Value: Sendable>(
        _ items: [String?], _ body: @escaping @Sendable (String) async throws -> Value
    ) async throws -> [Value?] {
        try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            var values = [Value?](repeating: nil, count: items.count)
            var running = 0
            for (index, item) in items.enumerated() {
                guard let item else { continue }
                if running == Self.requestsAtATime, let (done, value) = try await group.next() {
                    values[done] = value
                    running -= 1
                }
                group.addTask { (index, try await body(item)) }
                running += 1
            }
            for try await (done, value) in group { values[done] = value }
            return values
        }
    }
}
