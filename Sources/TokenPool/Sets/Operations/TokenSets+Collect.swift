import CouchDB
import CouchDocument
import Foundation

/// What collecting fetched.
public struct CollectReport: Hashable, Sendable {
    /// Tokens looked at.
    public var tokens = 0
    /// Files fetched.
    public var files = 0
    /// Bytes of these.
    public var bytes = 0
    /// Files that were there already.
    public var present = 0
    /// Files that lie elsewhere and could not be fetched, or are not what the worker wrote, with the reason.
    public var failures: [String] = []

    /// The report as data.
    public var json: JSON {
        [
            "tokens": .integer(tokens), "files": .integer(files), "bytes": .integer(bytes),
            "present": .integer(present), "failures": .array(failures.map(JSON.string)),
        ]
    }
}

extension TokenSets {
    /// Fetches the files of a set's tokens into `<folder>/<token>/<file>`: what is attached, and what workers put elsewhere
    /// (`pool.output_to`), which must have the length and SHA-256 that they noted.
    ///
    /// Files are streamed and appear only when they are whole. What an earlier run fetched is not fetched again, unless
    /// it changed since: the hidden `.token.json` beside the files tells. Slashes in the names of attachments make
    /// folders; what a file name can not hold is percent-encoded.
    ///
    /// - Parameters:
    ///   - states: Which tokens; those that are done by default.
    ///   - matches: Which attachments, by name.
    @discardableResult
    public func collect(
        _ name: String, into folder: String, states: Set<TokenState> = [.done],
        matching matches: @Sendable @escaping (String) -> Bool = { _ in true }, progress: Progress? = nil
    ) async throws -> CollectReport {
        let set = try await set(name)
        let total = try await counts(of: name)
        let expected = states.map { total[$0] }.reduce(0, +)
        var report = CollectReport()
        try await pages(.setTokens, key: .string(set.name), size: 100) { rows in
            let tokens = rows.compactMap { $0.document.map(Token.init) }.filter { states.contains($0.state) }
            try await withThrowingTaskGroup(of: CollectReport.self) { group in
                var waiting = tokens.makeIterator()
                for _ in 0..<8 {
                    guard let token = waiting.next() else { break }
                    group.addTask { try await self.fetch(token, into: folder, matches) }
                }
                while let part = try await group.next() {
                    report.tokens += 1
                    report.files += part.files
                    report.bytes += part.bytes
                    report.present += part.present
                    report.failures += part.failures
                    progress?(SetProgress(phase: .collecting, done: report.tokens, total: expected))
                    if let token = waiting.next() {
                        group.addTask { try await self.fetch(token, into: folder, matches) }
                    }
                }
            }
        }
        return report
    }

    /// Fetches what is new of one token.
    private func fetch(_ token: Token, into folder: String, _ matches: (String) -> Bool) async throws -> CollectReport {
        var report = CollectReport()
        let wanted = token.document.attachments.filter { matches($0.name) }.map(\.name)
        let copied = (token.uploads?.objectValue ?? [:]).filter { matches($0.name) }.compactMap { name, entry in
            CopiedOutput(entry).map { (name: name, output: $0) }
        }
        guard !wanted.isEmpty || !copied.isEmpty else { return report }
        let manager = FileManager.default
        let home = URL(filePath: folder).appending(path: SafeName.component(token.id))
        let note = home.appending(path: ".token.json")
        let before = (try? Data(contentsOf: note)).flatMap { try? JSON(parsing: $0) }
        let earlier = before?["_attachments"]
        for name in wanted {
            guard let stub = token.document.attachment(name) else { continue }
            let file = home.appending(path: SafeName.path(name))
            let path = file.path(percentEncoded: false)
            let size = try? manager.attributesOfItem(atPath: path)[.size] as? Int
            if let digest = stub.digest, earlier?[name]?["digest"]?.stringValue == digest, size == stub.length {
                report.present += 1
                continue
            }
            do {
                try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            } catch {
                throw PoolError(
                    .badInput, "collecting attachment \"\(name)\" of token \"\(token.id)\" into \(path)",
                    cause: error.localizedDescription)
            }
            do { try await database.downloadAttachment(name, of: token.id, to: path) } catch CouchDBError.notFound {
                // Removed or deleted since the view was read; a later run sees what there is then.
                continue
            }
            report.files += 1
            report.bytes += stub.length ?? 0
        }
        for (name, output) in copied {
            let file = home.appending(path: SafeName.path(name))
            let path = file.path(percentEncoded: false)
            let size = try? manager.attributesOfItem(atPath: path)[.size] as? Int
            if let digest = output.sha256, before?["uploads"]?[name]?["sha256"]?.stringValue == digest,
                size == output.length
            {
                report.present += 1
                continue
            }
            do {
                try manager.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try await output.fetch(to: path)
                report.files += 1
                report.bytes += output.length ?? 0
            } catch {
                // One server that is away does not keep the files of the others.
                report.failures.append("\(name) of token \"\(token.id)\": \(error)")
            }
        }
        // Without a note the next run fetches again what could not be fetched.
        guard report.failures.isEmpty else { return report }
        // Written last: a run that was cut off leaves no claim to have fetched what it has not.
        if manager.fileExists(atPath: home.path(percentEncoded: false)) {
            let kept = JSON.object(token.document.fields).prettyPrinted() + "\n"
            try Data(kept.utf8).write(to: note, options: .atomic)
        }
        return report
    }
}
