import CouchDocument
import CouchStore
import Hummingbird
import NIOCore

/// Reads the sequence log for one reader: filtered rows as JSON, page by page.
struct ChangesFeed: Sendable {
    let here: DatabaseCall
    let options: ChangesOptions
    let filter: ChangesFilter
    private static let pageSize = 500

    /// Where the reader is.
    private(set) var position: Int
    /// Rows that may still be told.
    private(set) var left: Int
    private(set) var sent = 0
    /// Sent since the log was last read to its end; see ``ChangesFilter/isLookedUp``.
    private var sentInPass = 0
    private var passStart: Int

    /// A change as it is told.
    struct Row: Sendable {
        let sequence: String
        let json: [UInt8]
    }

    init(here: DatabaseCall, options: ChangesOptions, filter: ChangesFilter) {
        self.here = here
        self.options = options
        self.filter = filter
        position = options.since
        passStart = options.since
        left = options.limit ?? .max
    }

    /// The rows of the next page; `nil` when the log is read to its end or the limit is reached.
    ///
    /// A page may be empty although more follow: nothing of it passed the filter.
    mutating func nextPage() async throws -> [Row]? {
        guard left > 0 else { return nil }
        var range = ChangesRange(
            since: position, limit: filter.isWholeLog ? min(left, Self.pageSize) : Self.pageSize,
            isDescending: options.isDescending, includesBodies: options.includesDocuments || filter.needsBodies)
        range.mostBytes = RowWriter.mostPageBytes
        if case .documents(let ids) = filter { range.ids = ids }
        let page = try await here.database.changes(range)
        if page.changes.isEmpty {
            if !options.isDescending { position = max(position, page.updateSequence) }
            return nil
        }
        let passes = try await filter.passes(page.changes, functions: here.database.views.functions)
        var rows: [Row] = []
        var bytes = 0
        var isCut = false
        for (change, isWanted) in zip(page.changes, passes) {
            // Attachments can make much of few documents: the rest is read again for the next page.
            isCut = bytes >= RowWriter.mostPageBytes
            if isCut { break }
            position = change.sequence
            guard isWanted else { continue }
            let row = try await row(change)
            bytes += row.json.count
            rows.append(row)
            left -= 1
            if left == 0 { break }
        }
        if left > 0, !isCut, !page.hasMore, !options.isDescending { position = max(position, page.updateSequence) }
        sent += rows.count
        sentInPass += rows.count
        return rows
    }

    /// Begins to read again after the end: changes have come.
    mutating func beginPass() {
        passStart = position
        sentInPass = 0
    }

    var lastSequence: String { SequenceText.text(position, of: here.database) }

    /// How many changes the reader has not seen.
    func pending() async throws -> Int {
        if options.isDescending && left > 0 { return 0 }
        if options.isDescending || filter.isLookedUp || options.limit == 0 {
            return max(0, try await here.database.pendingChanges(after: passStart) - sentInPass)
        }
        return left > 0 ? 0 : try await here.database.pendingChanges(after: position)
    }

    private func row(_ change: StoredChange) async throws -> Row {
        let sequence = SequenceText.text(change.sequence, of: here.database)
        var writer = JSONWriter()
        writer.raw("{\"seq\":")
        let number = (options.limit ?? .max) - left
        if number % options.sequenceInterval == 0 { writer.write(sequence) } else { writer.raw("null") }
        writer.raw(",\"id\":")
        writer.write(change.id)
        writer.raw(",\"changes\":[")
        let leaves = options.allLeaves ? change.leaves.map(\.revision) : [change.revision]
        for (index, revision) in leaves.enumerated() {
            writer.raw(index == 0 ? "{\"rev\":\"" : ",{\"rev\":\"")
            writer.raw(revision.description.utf8)
            writer.raw("\"}")
        }
        writer.raw("]")
        if change.isDeleted { writer.raw(",\"deleted\":true") }
        if options.includesDocuments {
            writer.raw(",\"doc\":")
            if case .selector(_, let fields?) = filter {
                writer.write(fields.members(of: .object(change.document.document().fields)))
            } else {
                try await options.view.write(change.document, of: here.database, to: &writer)
            }
        }
        writer.raw("}")
        return Row(sequence: sequence, json: writer.bytes)
    }
}

extension ChangesFilter {
    /// Whether every row of the log passes, so that no more need be read than are asked for.
    fileprivate var isWholeLog: Bool {
        switch self {
        case .all, .documents: true
        default: false
        }
    }
}
