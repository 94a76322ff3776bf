import CouchDB
import CouchDocument
import Logging

/// Brings the revisions of changes from the source to the target.
struct DocumentCopier: Sendable {
    let source: Database
    let target: Database
    let progress: ReplicationProgress
    let logger: Logger

    /// Documents read at once: enough to be quick, few enough for their bodies to be held.
    private static let readSize = 100
    /// Reads under way at once.
    private static let width = 4
    /// The largest part of a write; a larger document goes alone.
    private static let writeSize = 2 << 20
    /// Attachments up to so many bytes in all travel with their documents; larger ones are streamed.
    private static let inlineSize = 64 << 10

    /// One document's leaves that the target does not have.
    struct Wanted: Sendable {
        let id: String
        let revisions: [Revision]
        let ancestors: [Revision]
    }

    /// Copies what the target does not have of these changes.
    func copy(_ changes: [Change]) async throws {
        // A document can come twice in one page when it is edited meanwhile.
        var asked: [(id: String, revisions: [Revision])] = []
        var places: [String: Int] = [:]
        for change in changes where !change.revisions.isEmpty && !change.id.isEmpty {
            if let place = places[change.id] {
                asked[place].revisions += change.revisions.filter { !asked[place].revisions.contains($0) }
            } else {
                places[change.id] = asked.count
                asked.append((change.id, change.revisions))
            }
        }
        if asked.isEmpty { return }
        let missing = try await target.missingRevisions(asked).map {
            Wanted(id: $0.id, revisions: $0.revisions, ancestors: $0.possibleAncestors)
        }
        var found = ReplicationStatistics()
        found.revisionsChecked = asked.reduce(0) { $0 + $1.revisions.count }
        found.missingFound = missing.reduce(0) { $0 + $1.revisions.count }
        progress.add(found)
        var parts = stride(from: 0, to: missing.count, by: Self.readSize)
            .map { Array(missing[$0..<min($0 + Self.readSize, missing.count)]) }[...]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for part in parts.prefix(Self.width) { group.addTask { try await copy(part) } }
            parts = parts.dropFirst(Self.width)
            while try await group.next() != nil {
                if let part = parts.popFirst() { group.addTask { try await copy(part) } }
            }
        }
    }

    private func copy(_ wanted: [Wanted]) async throws {
        let documents = try await read(wanted, options: [.revisions, .latest, .attachmentEncodings])
        let ancestors = Dictionary(wanted.map { ($0.id, $0.ancestors) }, uniquingKeysWith: { $1 })
        var plain: [Document] = []
        var small: [Document] = []
        for document in documents {
            if document.attachments.isEmpty {
                plain.append(document)
            } else if Self.isSmall(document) {
                small.append(document)
            } else {
                try await stream(document, known: ancestors[document.id] ?? [])
            }
        }
        if !small.isEmpty {
            let revisions = Dictionary(grouping: small, by: \.id).map { id, documents in
                Wanted(id: id, revisions: documents.compactMap(\.revision), ancestors: [])
            }
            plain += try await read(revisions, options: [.revisions, .attachments], isCounted: false)
        }
        try await write(plain)
    }

    /// Copies a document whose attachments are too large for a body that is held.
    private func stream(_ document: Document, known: [Revision]) async throws {
        do {
            try await AttachmentCopier(source: source, target: target).copy(document, known: known)
            try note(document, nil)
        } catch let error as CouchDBError {
            try note(document, error)
        }
    }

    /// Whether its attachments go in the same body: few bytes, and none that is kept compressed, for it would come plain.
    private static func isSmall(_ document: Document) -> Bool {
        var size = 0
        for (_, stub) in document.attachments {
            if stub["encoding"] != nil { return false }
            guard let length = stub["length"]?.intValue else { return false }
            size += length
        }
        return size <= inlineSize
    }

    // MARK: Reading

    private func read(_ wanted: [Wanted], options: DocumentOptions, isCounted: Bool = true) async throws -> [Document] {
        let list = wanted.flatMap { document in document.revisions.map { (id: document.id, revision: Optional($0)) } }
        var documents: [Document] = []
        var seen: Set<String> = []
        var count = ReplicationStatistics()
        count.bulkGetAttempts = list.count
        for (rows, asked) in zip(try await source.bulkGet(list, options: options), list) {
            for row in rows {
                switch row {
                case .success(let document):
                    // Two ancestors of one leaf ask for the same leaf.
                    let leaf = "\(document.revision?.description ?? "") \(document.id)"
                    if seen.insert(leaf).inserted { documents.append(document) }
                case .failure(let error) where error.code == .notFound:
                    // Purged, or replaced and compacted, since the change was told: another change tells of that.
                    continue
                case .failure(let error):
                    throw ReplicationError(
                        error.error ?? "doc_read_failure", "the source can not give \"\(asked.id)\": \(error.reason)")
                }
            }
        }
        count.bulkGetDocuments = documents.count
        count.documentsRead = documents.count
        if isCounted { progress.add(count) }
        return documents
    }

    // MARK: Writing

    private func write(_ documents: [Document]) async throws {
        var batch: [Document] = []
        var size = 0
        for document in documents {
            let bytes = JSON.object(document.fields).encoded().count
            if !batch.isEmpty && size + bytes > Self.writeSize {
                try await send(batch)
                (batch, size) = ([], 0)
            }
            batch.append(document)
            size += bytes
        }
        if !batch.isEmpty { try await send(batch) }
    }

    private func send(_ documents: [Document]) async throws {
        do {
            for (document, outcome) in zip(documents, try await target.bulkSave(documents, newEdits: false)) {
                try note(document, outcome.error)
            }
        } catch CouchDBError.tooLarge where documents.count > 1 {
            // Which one is too large shows when they go alone.
            for document in documents { try await send([document]) }
        } catch let error as CouchDBError where error.code == .tooLarge {
            try note(documents[0], error)
        }
    }

    /// Counts a document as written, or as refused. Anything else than a refusal of this one document ends the run.
    private func note(_ document: Document, _ error: CouchDBError?) throws {
        var count = ReplicationStatistics()
        if let error {
            guard Self.isRefusal(error) else { throw error }
            count.writeFailures = 1
            logger.notice(
                "the target refuses a document",
                metadata: ["document": "\(document.id)", "reason": "\(error.reason)"])
        } else {
            count.documentsWritten = 1
        }
        progress.add(count)
    }

    /// Whether the target has a reason against the document itself, which it will have tomorrow too.
    private static func isRefusal(_ error: CouchDBError) -> Bool {
        switch error.code {
        case .forbidden, .tooLarge, .badRequest: true
        // A validation function may say so of one document; the sign-in was tried before.
        case .unauthorized: true
        default: false
        }
    }
}
