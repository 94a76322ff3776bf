import CouchDocument
import CouchStore
import NIOCore

/// The documents of a `_bulk_docs` request, read as they come: each is taken apart and kept as the text to be stored, so that
/// a large request is in memory about once.
///
/// Nothing is told before the whole body was there and is well-formed: a mistake in its last byte refuses everything.
struct BulkDrafts: Sendable {
    /// The members of the request; `docs` is empty when its rows are ``rows``.
    let members: JSONObject
    /// In order, up to the first that can not be.
    private(set) var rows: Rows
    /// Why the row after them is refused.
    let refusal: Refusal?

    /// Documents of the request, in order.
    struct Rows: Sendable {
        /// As ordinary edits, packed.
        var edits: [Edit] = []
        /// For each what it says of its own revisions, for the case that they are to be taken as they are.
        var paths: [[Revision]?] = []
        /// The places of those that came without an id.
        var unnamed: [Int] = []

        mutating func append(_ more: Rows) {
            unnamed += more.unnamed.map { $0 + edits.count }
            edits += more.edits
            paths += more.paths
        }

        /// - Parameters:
        ///   - makesRevision: Whether the new revision is worked out now, while the body is at hand.
        ///   - length: About how long the body is.
        mutating func append(_ json: JSON, limit: Int, makesRevision: Bool, length: Int = 0) throws {
            let draft = try DocumentDraft(json, limit: .max)
            if !draft.following.isEmpty { throw Refusal.badRequest("attachments follow in a multipart request only") }
            var edit = try draft.edit(isReplicated: false)
            edit.pack(makesRevision: makesRevision, length: length)
            if edit.packedSize > limit { throw Refusal.documentTooLarge(draft.id ?? "") }
            if draft.id == nil { unnamed.append(edits.count) }
            edits.append(edit)
            paths.append(draft.path)
        }
    }

    /// The edits to write; `newID` gives ids to documents that came without. Leaves none behind.
    mutating func takeEdits(isReplicated: Bool, newID: () -> String) throws(Refusal) -> [Edit] {
        defer { rows = Rows() }
        for place in rows.unnamed { rows.edits[place].id = newID() }
        if isReplicated {
            for (place, path) in rows.paths.enumerated() {
                rows.edits[place].lineage = try DocumentDraft.replicated(path)
            }
        }
        return rows.edits
    }

    /// Adds documents that were read with the other members.
    mutating func add(_ list: [JSON], limit: Int) throws {
        for json in list { try rows.append(json, limit: limit, makesRevision: false) }
    }

    /// Bytes of rows that are taken apart together, by one thread: few enough for a usual request to be shared by all
    /// processors while it still comes.
    private static let batchBytes = 16 << 10
    /// Batches that are being taken apart at one time.
    private static let mostUnderWay = 8

    /// What became of some rows.
    private struct Batch: Sendable {
        var rows = Rows()
        var refusal: Refusal?
        var isMalformed = false
    }

    /// Reads the body of a request.
    ///
    /// - Parameter limit: The largest document in bytes.
    /// - Throws: ``Refusal`` when it is no JSON object, ``ClientFailure`` when it does not come to its end.
    static func read(_ call: Call, limit: Int) async throws -> BulkDrafts {
        try call.requireJSONContent()
        var splitter = RowSplitter("docs")
        var batches: [Batch] = []
        var isMalformed = false
        try await withThrowingTaskGroup(of: (Int, Batch).self) { group in
            var underWay = 0
            func collect() async throws {
                guard let (number, batch) = try await group.next() else { return }
                batches[number] = batch
                isMalformed = isMalformed || batch.isMalformed
                underWay -= 1
            }
            var pieces = try await call.keptPieces()
            while let piece = try await pieces.next() {
                // What is malformed is heard to its end, so that the client can read why.
                if isMalformed { continue }
                piece.withUnsafeReadableBytes { splitter.push($0) }
                if splitter.size < Self.batchBytes || !splitter.hasRows { continue }
                while underWay >= Self.mostUnderWay { try await collect() }
                let (text, ends) = splitter.takeRows()
                let makesRevisions = Self.isPlain(splitter.rest)
                let number = batches.count
                batches.append(Batch())
                underWay += 1
                group.addTask { (number, Self.takeApart(text, ends, limit, makesRevisions)) }
            }
            while underWay > 0 { try await collect() }
        }
        let (text, ends) = splitter.takeRows()
        batches.append(takeApart(text, ends, limit, isPlain(splitter.rest)))
        if batches.contains(where: \.isMalformed) { throw Refusal.invalidJSON }
        let rest: JSON
        do { rest = try JSON(parsing: splitter.rest, numbers: .canonical) } catch { throw Refusal.invalidJSON }
        guard let members = rest.objectValue else { throw Refusal.notAnObject }
        // The second name may be written with escapes.
        let isRepeated = splitter.arrayCount == 1 && members["docs"]?.arrayValue?.isEmpty == false
        if splitter.arrayCount > 1 || isRepeated { throw Refusal.badRequest("`docs` is there more than once.") }
        var rows = Rows()
        let count = batches.reduce(0) { $0 + $1.rows.edits.count }
        rows.edits.reserveCapacity(count)
        rows.paths.reserveCapacity(count)
        for place in batches.indices {
            let batch = batches[place]
            // So that there is one list of them, not two.
            batches[place] = Batch()
            rows.append(batch.rows)
            if let refusal = batch.refusal { return BulkDrafts(members: members, rows: rows, refusal: refusal) }
        }
        return BulkDrafts(members: members, rows: rows, refusal: nil)
    }

    /// Whether no word was heard yet of `new_edits`: revisions of a replication come along, and need not be worked out.
    private static func isPlain(_ rest: [UInt8]) -> Bool { !rest.contains(UInt8(ascii: "n")) }

    private static func takeApart(_ text: [UInt8], _ ends: [Int], _ limit: Int, _ makesRevisions: Bool) -> Batch {
        var batch = Batch()
        batch.rows.edits.reserveCapacity(ends.count)
        var start = 0
        for end in ends {
            do {
                let json = try JSON(parsing: text[start..<end], numbers: .canonical)
                if batch.refusal == nil {
                    try batch.rows.append(
                        json, limit: limit, makesRevision: makesRevisions, length: end - start)
                }
            } catch let refusal as Refusal {
                batch.refusal = refusal
            } catch {
                batch.isMalformed = true
                return batch
            }
            start = end
        }
        return batch
    }
}
