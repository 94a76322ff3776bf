import GRDB

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Copies a data folder while a server works in it. Each database is copied as it stands at one moment.
///
/// The copy is made under another name and renamed when all of it is on disk, so a folder of the name that was asked for is
/// a whole copy. It is a data folder like any other: check it, or serve it.
package struct DataFolderBackup: Sendable {
    /// What was copied.
    package struct Summary: Sendable {
        package var databases = 0
        package var attachments = 0
        package var indexes = 0
        package var bytes = 0
    }

    private let source: DataFolderFiles
    private let target: String
    private let includesViews: Bool
    /// How often a database is copied anew because a compaction removed what the copy needs.
    private static let attempts = 5

    /// - Parameter includesViews: Whether view indexes are copied too. Without them they are built at the first read.
    /// - Throws: ``StoreError`` when the source is no data folder or the target is there already.
    package init(of folder: String, to target: String, includesViews: Bool) throws {
        guard fileSize(folder + "/store.json") > 0 else {
            throw StoreError(.notFound, "\(folder) is no data folder: it has no store.json")
        }
        guard access(target, F_OK) != 0 else {
            throw StoreError(.exists, "\(target) exists already: choose a new folder for each copy")
        }
        source = DataFolderFiles(folder: folder)
        self.target = target
        self.includesViews = includesViews
    }

    /// Makes the copy. `progress` is told each database that is done.
    package func run(progress: (_ name: String) -> Void) throws -> Summary {
        let unfinished = target + ".unfinished"
        guard access(unfinished, F_OK) != 0 else {
            throw StoreError(.exists, "\(unfinished) is left of an earlier copy, or of one under way: remove it first")
        }
        var summary = Summary()
        do {
            try makeFolder(unfinished + "/databases")
            guard chmod(unfinished, 0o700) == 0 else { throw StoreError.system("protect", unfinished) }
            let copy = DataFolderFiles(folder: unfinished)
            for name in try source.names() {
                try copyDatabase(name, to: copy, &summary)
                progress(name)
            }
            // The daemon's own files: who the store is, passwords and settings. No other program has files here.
            for name in ["store.json", "settings.json", "admin-password", "cookie-secret"] {
                let path = "\(source.folder)/\(name)"
                if access(path, F_OK) == 0 { summary.bytes += try copyFile(path, to: "\(unfinished)/\(name)") }
            }
            try synchronizeFolder(unfinished)
            guard rename(unfinished, target) == 0 else { throw StoreError.system("rename \(unfinished) to", target) }
        } catch {
            try removeTree(unfinished)
            throw error
        }
        return summary
    }

    private func copyDatabase(_ name: String, to copy: DataFolderFiles, _ summary: inout Summary) throws {
        // Indexes first: one that is behind its database catches up, one that is ahead of it would be wrong.
        if includesViews {
            for path in try source.views(name) {
                try makeFolder(copy.viewsFolder(name))
                let file = path.split(separator: "/").last.map(String.init) ?? ""
                guard try copyPages(of: path, to: "\(copy.viewsFolder(name))/\(file)") else { continue }
                summary.indexes += 1
                summary.bytes += fileSize("\(copy.viewsFolder(name))/\(file)")
            }
        }
        for attempt in 1...Self.attempts {
            // A database that was deleted since the names were read is left out.
            guard try copyPages(of: source.database(name), to: copy.database(name)) else { return }
            guard let missing = try copyAttachments(name, to: copy, &summary) else { break }
            if attempt == Self.attempts { throw missing }
            unlink(copy.database(name))
        }
        summary.databases += 1
        summary.bytes += fileSize(copy.database(name))
    }

    /// Copies a database file page by page from one snapshot; `false`: it is gone.
    private func copyPages(of path: String, to target: String) throws -> Bool {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(10)
        do {
            let from = try DatabaseQueue(path: path, configuration: configuration)
            let to = try DatabaseQueue(path: target)
            try from.backup(to: to)
            try to.close()
            try from.close()
            try synchronizeFile(target)
            return true
        } catch {
            if access(path, F_OK) != 0 {
                unlink(target)
                return false
            }
            throw StoreError.wrapping(error, attempt: "copy \(path) to \(target)")
        }
    }

    /// Copies the files of large attachments that the copied database speaks of. They never change once they are there.
    ///
    /// - Returns: What is missing, when one was removed meanwhile.
    private func copyAttachments(_ name: String, to copy: DataFolderFiles, _ summary: inout Summary) throws
        -> StoreError?
    {
        let from = AttachmentStore(folder: source.attachments(name))
        let to = AttachmentStore(folder: copy.attachments(name))
        let queue = try DatabaseQueue(path: copy.database(name))
        let contents = try queue.read { database in
            let row = try SQLStatement(database, "SELECT md5, length FROM contents WHERE bytes IS NULL")
            defer { row.reset() }
            var contents: [ContentKey] = []
            while try row.step() { contents.append(ContentKey(md5: row.bytes(0), length: row.integer(1))) }
            return contents
        }
        try queue.close()
        for content in contents {
            try makeFolder(to.folder)
            let path = from.path(md5: content.md5, length: content.length)
            let target = to.path(md5: content.md5, length: content.length)
            if access(target, F_OK) == 0 { continue }
            guard access(path, F_OK) == 0 else {
                return StoreError(.failed, "the attachment file \(path) is not there: run `tokenpoold check`")
            }
            summary.bytes += try copyFile(path, to: target)
            summary.attachments += 1
        }
        if !contents.isEmpty { try synchronizeFolder(to.folder) }
        return nil
    }
}
