import CouchDocument

extension EditWriter {
    /// The attachments as they will be stored; new contents are put into the store of contents on the way.
    ///
    /// - Parameters:
    ///   - generation: That of the new revision: the `revpos` of new contents.
    ///   - ancestors: Where stubs are looked up, nearest first.
    mutating func resolve(
        _ prepared: PreparedEdit, generation: Int, ancestors: [Revision], of current: StoredDocument?
    ) throws -> Result<[StoredAttachment], StoreError> {
        let edit = prepared.edit
        guard !edit.attachments.isEmpty else { return .success([]) }
        var known: [String: StoredAttachment] = [:]
        let hasStubs = prepared.contents.contains { if case .stub = $0 { true } else { false } }
        if hasStubs, let current { known = try attachments(ofNearest: ancestors, of: current) }
        var result: [StoredAttachment] = []
        for (attachment, content) in zip(edit.attachments, prepared.contents) {
            switch content {
            case .stub:
                guard let stored = known[attachment.name] else {
                    return .failure(
                        StoreError(.missingStub, "Invalid attachment stub in \(edit.id) for \(attachment.name)"))
                }
                result.append(stored)
            case .new(let bytes):
                result.append(
                    StoredAttachment(
                        name: attachment.name, contentType: attachment.contentType,
                        revisionPosition: attachment.revisionPosition ?? generation, md5: bytes.md5,
                        storedLength: bytes.length, encoding: attachment.encoding))
            }
        }
        for case .new(let bytes) in prepared.contents { try store(bytes) }
        return .success(result)
    }

    /// The attachments of the nearest of these revisions whose body is still here.
    private func attachments(ofNearest ancestors: [Revision], of current: StoredDocument) throws
        -> [String: StoredAttachment]
    {
        guard let winner = try rows.winner(current.id) else { return [:] }
        for ancestor in ancestors {
            guard let document = try rows.revision(ancestor, of: winner) else { continue }
            return Dictionary(document.attachments.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        }
        return [:]
    }

    /// Keeps the bytes unless equal ones are there.
    private mutating func store(_ content: UploadedContent) throws {
        let found = try SQLStatement(database, "SELECT content FROM contents WHERE md5 = ? AND length = ?")
            .bind(1, content.md5).bind(2, content.length)
        let row = try found.step() ? found.integer(0) : nil
        found.reset()
        if let row {
            // A compaction that looks for unused contents must see that this one is used again.
            try SQLStatement(database, "UPDATE contents SET touched = ? WHERE content = ?")
                .bind(1, state.sequence + 1).bind(2, row).run()
            return
        }
        var bytes: [UInt8]?
        switch content.location {
        case .memory(let content): bytes = content
        case .file(let file): try attachmentStore.adopt(file, md5: content.md5, length: content.length)
        }
        try SQLStatement(database, "INSERT INTO contents (md5, length, touched, bytes) VALUES (?, ?, ?, ?)")
            .bind(1, content.md5).bind(2, content.length).bind(3, state.sequence + 1).bind(4, bytes).run()
        state.attachmentBytes += content.length
    }
}
