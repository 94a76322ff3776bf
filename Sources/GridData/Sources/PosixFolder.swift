import CouchDocument
import Dispatch
import TokenPool

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A folder of this machine, or one that is mounted here, as a source: a file is there or not.
package struct PosixFolder: ReplicaSource {
    package let name: String
    package var batchSize: Int { 2000 }
    private let rse: String
    private let root: String
    private let layout: FolderLayout
    private let url: String
    /// Looks are the queue's own: a mounted folder may keep them waiting.
    private let queue: DispatchQueue

    /// A folder.
    ///
    /// - Parameters:
    ///   - rse: The storage element that it is.
    ///   - url: What stands before the path in URLs; `nil` is `file://` and the folder.
    package init(name: String, rse: String, folder: String, layout: FolderLayout, url: String? = nil) throws {
        guard folder.hasPrefix("/") else {
            throw GridError(.badInput, "folder \"\(folder)\": give its path from the root")
        }
        self.name = name
        self.rse = rse
        self.layout = layout
        var root = folder
        while root.count > 1, root.hasSuffix("/") { root.removeLast() }
        self.root = root
        var url = url ?? "file://" + WebAddress.encoded(path: root)
        while url.hasSuffix("/") { url.removeLast() }
        self.url = url
        queue = DispatchQueue(label: "folder \(name)")
    }

    package func rses() async throws -> [SourceRSE] { [SourceRSE(name: rse, isEnabled: true)] }

    package func replicas(of files: [DID], schemes: [String]) async throws -> [DID: [Replica]] {
        let there = try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try look(for: files) }) }
        }
        return Dictionary(uniqueKeysWithValues: zip(files, there)).mapValues { path in
            path.flatMap { replica(at: rse, [url + "/" + WebAddress.encoded(path: $0)], schemes: []) }.map { [$0] }
                ?? []
        }
    }

    /// The paths of those that are there.
    private func look(for files: [DID]) throws -> [String?] {
        let top = try existing()
        return try files.map { did in
            guard let path = layout.path(of: did) else { return nil }
            guard let place = try Self.resolved(top + "/" + path) else { return nil }
            // A link in the folder may lead out of it.
            guard place.hasPrefix(top == "/" ? top : top + "/") else { return nil }
            var status = stat()
            guard stat(place, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
            return path
        }
    }

    /// The folder itself. One that is not there, or has nothing in it, is taken for one that is not mounted.
    private func existing() throws -> String {
        guard let top = try Self.resolved(root), let folder = opendir(top) else {
            throw GridError(
                .unavailable,
                "folder \(root) of source \"\(name)\" can not be read: \(String(cString: strerror(errno)))")
        }
        defer { closedir(folder) }
        var count = 0
        while count <= 2, readdir(folder) != nil { count += 1 }
        guard count > 2 else {
            throw GridError(.unavailable, "folder \(root) of source \"\(name)\" is empty: is it mounted?")
        }
        return top
    }

    /// The path without links; `nil` when there is nothing.
    private static func resolved(_ path: String) throws -> String? {
        guard let found = realpath(path, nil) else {
            switch errno {
            case ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EACCES: return nil
            default: throw GridError(.unavailable, "looking for \(path): \(String(cString: strerror(errno)))")
            }
        }
        defer { free(found) }
        return String(cString: found)
    }
}
