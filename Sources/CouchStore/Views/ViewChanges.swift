import CouchDocument

/// A page of changed documents as a view index takes them in: their texts in one piece, ready to cross into JavaScript.
package struct ViewChanges: Sendable {
    struct Entry {
        let id: String
        let sequence: Int
        /// Where the document stands in ``text``; empty when the document is gone.
        let document: Range<Int>
        var isGone: Bool { document.isEmpty }
    }

    // What crosses into JavaScript at once.
    private static let fullCount = 500
    private static let fullSize = 1 << 20

    private(set) var entries: [Entry] = []
    /// `[` and the documents, a comma between them.
    private var writer = JSONWriter()

    /// An empty page.
    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    /// Whether a reader should hand the page over now.
    package var isFull: Bool { entries.count >= Self.fullCount || writer.bytes.count >= Self.fullSize }

    package var lastSequence: Int { entries.last?.sequence ?? 0 }

    /// The documents between brackets, for ``Entry/document`` to point into. Lacks the closing bracket.
    var text: [UInt8] { writer.bytes }

    /// Adds a document that is gone: deleted or purged.
    package mutating func append(_ id: String, sequence: Int) {
        entries.append(Entry(id: id, sequence: sequence, document: 0..<0))
    }

    /// Adds the winning revision of a document. `write` adds its JSON text with `_id`, `_rev`, the body's members,
    /// `_attachments` (stubs), and `_conflicts` when there are any.
    package mutating func append(_ id: String, sequence: Int, _ write: (inout JSONWriter) throws -> Void) rethrows {
        if writer.bytes.isEmpty { writer.raw("[") } else { writer.raw(",") }
        let start = writer.bytes.count
        try write(&writer)
        entries.append(Entry(id: id, sequence: sequence, document: start..<writer.bytes.count))
    }

    /// Adds documents that were purged, each at its place.
    mutating func add(_ purges: [(id: String, sequence: Int)]) {
        if purges.isEmpty { return }
        for purge in purges { append(purge.id, sequence: purge.sequence) }
        entries.sort { $0.sequence < $1.sequence }
    }

    /// The same with every design document gone, as views see it that do not include them.
    func withoutDesignDocuments() -> ViewChanges {
        func isUnwanted(_ entry: Entry) -> Bool { !entry.isGone && entry.id.hasPrefix("_design/") }
        guard entries.contains(where: isUnwanted) else { return self }
        var page = ViewChanges()
        for entry in entries {
            if entry.isGone || isUnwanted(entry) {
                page.append(entry.id, sequence: entry.sequence)
            } else {
                page.append(entry.id, sequence: entry.sequence) { $0.raw(text[entry.document]) }
            }
        }
        return page
    }
}
