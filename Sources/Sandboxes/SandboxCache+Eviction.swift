import CouchDocument
import Glibc
import Logging

extension SandboxCache {
    /// Removes what was not used for longest until the rest fits the limit. What somebody uses stays, however large.
    package func evict() async throws {
        let cache = self
        try await onOwnThread { _ in
            // One sweeper at a time is enough.
            guard let lock = try FileLock.tryTaking(cache.path("locks", "evict")) else { return }
            defer { withExtendedLifetime(lock) {} }
            try cache.sweep()
            try cache.removeLeftovers()
        }
    }

    private func sweep() throws {
        var entries: [(name: String, used: Int, bytes: Int)] = []
        for name in try folderNames(Array("\(folder)/sandboxes".utf8)).map(\.shown) {
            let path = path("sandboxes", "\(name)/entry.json")
            guard let status = FileStatus(path), let entry = try? JSON(parsing: readFile(path)) else { continue }
            let bytes = (entry["bytes"]?.intValue ?? 0) + (entry["archive_bytes"]?.intValue ?? 0)
            entries.append((name, status.modified, bytes))
        }
        var total = entries.reduce(0) { $0 + $1.bytes }
        for entry in entries.sorted(by: { $0.used < $1.used }) where total > sizeLimit {
            guard let lock = try FileLock.tryTaking(path("locks", "\(entry.name).use")) else { continue }
            let aside = path("temporary", "\(getpid())-\(UInt64.random(in: 0 ... .max))")
            if rename(path("sandboxes", entry.name), aside) == 0 {
                try removeTree(aside)
                total -= entry.bytes
                logger.debug("dropped an old sandbox", metadata: ["sandbox": "\(entry.name)"])
            }
            withExtendedLifetime(lock) {}
        }
    }

    /// Removes what processes that died left in `temporary`: their names begin with the number of the process.
    private func removeLeftovers() throws {
        let dayAgo = time(nil) - 86_400
        for name in try folderNames(Array("\(folder)/temporary".utf8)).map(\.shown) {
            let path = path("temporary", name)
            guard let status = FileStatus(path) else { continue }
            // The number may be of another machine that shares the folder, so only what is also old is known to be dead.
            let process = pid_t(name.prefix { $0 != "-" }) ?? 0
            let isAlive = process > 0 && (kill(process, 0) == 0 || errno == EPERM)
            if !isAlive, status.modified / 1_000_000_000 < dayAgo { try removeTree(path) }
        }
    }

    /// Clears away a work folder. That it could not is said, but is no reason to fail.
    func discard(_ path: String) async {
        do { try await onOwnThread { _ in try removeTree(path) } } catch {
            logger.warning("left a temporary folder behind", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }
}
