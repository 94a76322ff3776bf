import CouchDocument

extension StoredDatabase {
    /// Writes documents and answers an outcome for each, in order, once they are on disk.
    ///
    /// Edits stand alone: one that conflicts or fails takes nobody along. When an id occurs twice the first wins.
    ///
    /// Very many are written in several transactions, so that others get their turn in between.
    ///
    /// - Throws: ``StoreError`` when nothing was written: the disk is full or can not be written to.
    package func write(_ edits: [Edit], validation: EditValidation? = nil) async throws -> [EditOutcome] {
        if edits.isEmpty { return [] }
        try core.refuseWhenClosed()
        guard let validation else {
            var outcomes: [EditOutcome] = []
            outcomes.reserveCapacity(edits.count)
            try await write(edits) { outcomes += $1 }
            return outcomes
        }
        var outcomes: [EditOutcome?] = []
        var accepted: [Edit] = []
        for edit in edits {
            let refusal = try await refusal(of: edit, validation)
            outcomes.append(refusal)
            if refusal == nil { accepted.append(edit) }
        }
        var written = try await write(accepted)
        written.reverse()
        return outcomes.map { $0 ?? written.removeLast() }
    }

    /// Writes one document.
    package func write(_ edit: Edit, validation: EditValidation? = nil) async throws -> EditOutcome {
        try await write([edit], validation: validation)[0]
    }

    /// Edits in one transaction: about a tenth of a second.
    private static let mostInTransaction = 5000

    /// Writes documents and tells the outcomes of each transaction's edits once they are on disk, so that nobody has to keep
    /// those of very many.
    ///
    /// - Throws: As ``write(_:validation:)``; then nothing was told.
    package func write(_ edits: [Edit], told: (ArraySlice<Edit>, [EditOutcome]) -> Void) async throws {
        if edits.isEmpty { return }
        try core.refuseWhenClosed()
        defer { startCompactionIfDue() }
        if edits.count <= Self.mostInTransaction {
            told(edits[...], try await commit(edits))
            return
        }
        // An id that occurred in an earlier transaction of these edits: the first one won.
        var taken: Set<String> = []
        for start in stride(from: 0, to: edits.count, by: Self.mostInTransaction) {
            let some = edits[start..<min(start + Self.mostInTransaction, edits.count)]
            func isLate(_ edit: Edit) -> Bool {
                guard case .follows = edit.lineage, !edit.isLocal else { return false }
                return taken.contains(edit.id)
            }
            do {
                var written = try await commit(some.filter { !isLate($0) })[...]
                told(some, some.map { isLate($0) ? .conflict : written.removeFirst() })
            } catch let error as StoreError where start > 0 {
                // What was written stays, and was told; the rest was not.
                told(edits[start...], Array(repeating: .failed(error), count: edits.count - start))
                return
            }
            for edit in some { taken.insert(edit.id) }
        }
    }

    private func commit(_ edits: [Edit]) async throws -> [EditOutcome] {
        let prepared = try await prepare(edits)
        return try await change("write") { try $0.apply(prepared) }
    }

    /// Edits that one thread prepares, when there are many.
    private static let share = 200

    /// Works out what needs no look at the database; many edits on all processors. Of those that were packed in
    /// time there is little left.
    private func prepare(_ edits: [Edit]) async throws -> [PreparedEdit] {
        if edits.count <= Self.share || edits.allSatisfy(\.isWorkedOut) {
            var prepared: [PreparedEdit] = []
            prepared.reserveCapacity(edits.count)
            for edit in edits {
                prepared.append(
                    edit.attachments.isEmpty ? PreparedEdit(edit, contents: []) : try await prepare(edit))
            }
            return prepared
        }
        return try await withThrowingTaskGroup(of: (Int, [PreparedEdit]).self) { group in
            let starts = Array(stride(from: 0, to: edits.count, by: Self.share))
            for (place, start) in starts.enumerated() {
                let some = Array(edits[start..<min(start + Self.share, edits.count)])
                group.addTask { (place, try await self.prepare(some)) }
            }
            var parts = [[PreparedEdit]](repeating: [], count: starts.count)
            for try await (place, part) in group { parts[place] = part }
            return Array(parts.joined())
        }
    }

    private func prepare(_ edit: Edit) async throws -> PreparedEdit {
        if edit.attachments.isEmpty { return PreparedEdit(edit, contents: []) }
        var contents: [PreparedEdit.Content] = []
        for attachment in edit.attachments {
            switch attachment.content {
            case .stub: contents.append(.stub)
            case .uploaded(let content): contents.append(.new(content))
            case .bytes(let bytes) where bytes.count > AttachmentStore.largestInDatabase:
                let upload = beginUpload()
                try await upload.append(bytes)
                contents.append(.new(try await upload.finish()))
            case .bytes(let bytes): contents.append(.new(UploadedContent(bytes)))
            }
        }
        return PreparedEdit(edit, contents: contents)
    }

    // MARK: Validation

    /// Asks the validation about an edit; `nil` when it may be tried.
    private func refusal(of edit: Edit, _ validation: EditValidation) async throws -> EditOutcome? {
        if edit.isLocal { return nil }
        let old: StoredDocument?
        let follows: [Revision]
        switch edit.lineage {
        case .follows(let parent):
            follows = parent.map { [$0] } ?? []
            // What can not be written now never can: what was replaced stays replaced.
            let known = try await core.readShortly { rows -> (isConflict: Bool, document: StoredDocument?) in
                guard let winner = try rows.winner(edit.id) else { return (false, nil) }
                guard let parent else { return (!winner.isDeleted, nil) }
                guard winner.tree.isLeaf(parent) else { return (true, nil) }
                return (false, try rows.revision(parent, of: winner))
            }
            if known.isConflict { return .conflict }
            old = known.document
        case .replicated(let path):
            follows = path
            old = try await core.readShortly { rows in
                guard path.count > 1, let winner = try rows.winner(edit.id) else { return nil }
                return try rows.revision(path[1], of: winner)
            }
        }
        do {
            try await validation(proposal(edit, follows: follows, old: old), old?.document())
            return nil
        } catch let error as StoreError {
            return .failed(error)
        }
    }

    /// The document as a validation function sees it.
    private func proposal(_ edit: Edit, follows: [Revision], old: StoredDocument?) -> Document {
        var document = Document(id: edit.id)
        if let first = follows.first { document.revision = first }
        document.fields.merge(edit.body)
        if edit.isDeleted { document["_deleted"] = true }
        if let first = follows.first {
            document["_revisions"] = .object([
                "start": .integer(first.generation), "ids": .array(follows.map { .string($0.hash) }),
            ])
        }
        let known = Dictionary((old?.attachments ?? []).map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        var attachments = JSONObject()
        for attachment in edit.attachments {
            if case .stub = attachment.content, let stored = known[attachment.name] {
                attachments[attachment.name] = .object(stored.stub())
            } else {
                attachments[attachment.name] = .object(["content_type": .string(attachment.contentType), "stub": true])
            }
        }
        if !attachments.isEmpty { document["_attachments"] = .object(attachments) }
        return document
    }
}
