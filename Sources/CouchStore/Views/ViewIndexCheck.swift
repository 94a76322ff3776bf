import CouchDocument
import Foundation
import GRDB

/// Looks through one view index: whether its trees hang together, and whether its rows are those that its map functions
/// make of the documents now. Changes nothing; a server may work on the index and on its database meanwhile.
struct ViewIndexCheck {
    /// The design documents that the index belongs to.
    let designs: [DesignDocument]
    let definitions: ViewDefinitions
    /// The file of the documents.
    let database: DatabaseQueue

    /// What is wrong with the index in this snapshot, a line each.
    func problems(_ index: Database) throws -> [String] {
        let snapshot = ViewIndexFile.Snapshot(index)
        let header = try snapshot.header()
        guard header.trees.count == definitions.rows.count + 1 else {
            return ["has \(header.trees.count) trees instead of \(definitions.rows.count + 1)"]
        }
        let definitions = definitions
        let thread = JavaScriptThread { ViewEngine(definitions, limits: JavaScriptLimits()) { _ in } }
        defer { thread.stop() }
        let reduces = definitions.reduces
        for (number, tree) in header.trees.enumerated() {
            let functions = number == 0 ? [] : reduces[number - 1]
            let check = TreeCheck(
                reductions: TreeReductions(functions: functions, scripts: .beside(thread)), load: snapshot.node)
            if let problem = try check.problem(tree) { return ["\(name(ofTree: number)): \(problem)"] }
        }
        return try compare(snapshot, header, thread)
    }

    private func name(ofTree number: Int) -> String {
        if number == 0 { return "the list of rows by document" }
        let names = definitions.places.filter { $0.value.rows == number - 1 }.map { "\"\($0.key)\"" }.sorted()
        return "view \(names.joined(separator: ", ")) of \(designs.map(\.document.id).joined(separator: ", "))"
    }

    // MARK: Rows

    /// Holds the rows against those of an index that is built now, in the folder for temporary files.
    private func compare(
        _ snapshot: ViewIndexFile.Snapshot, _ header: ViewIndexFile.Header, _ thread: JavaScriptThread<ViewEngine>
    ) throws -> [String] {
        let path = NSTemporaryDirectory() + "/tokenpoold-check-\(UUID().uuidString).db"
        defer { ViewIndexFile.remove(path: path) }
        let fresh = try ViewIndexFile(path: path, trees: header.trees.count)
        try ViewIndexUpdate(definitions, scripts: .beside(thread)).run(
            from: 0, through: header.sequence, source: SnapshotViewSource(reader: database), file: fresh,
            isCancelled: { false }, committed: { _ in })
        let problems = try fresh.readNow { wanted -> [String] in
            let wantedHeader = try wanted.header()
            // Read after both: what has changed since the index' sequence is known by now.
            return try database.read { database in
                var problems: [String] = []
                for number in header.trees.indices {
                    var difference = RowDifference(
                        isOfRows: number > 0, sequence: header.sequence, documents: DocumentRows(database: database))
                    let reduceCount = number == 0 ? 0 : definitions.rows[number - 1].reduces.count
                    try difference.compare(
                        RowWalk(header.trees[number], reduceCount, snapshot),
                        RowWalk(wantedHeader.trees[number], reduceCount, wanted))
                    if let text = difference.text { problems.append("\(name(ofTree: number)): \(text)") }
                }
                return problems
            }
        }
        try fresh.close()
        return problems
    }
}

/// Rows of a tree one after the other.
private struct RowWalk {
    private let reader: TreeReader
    private var ranks: Range<Int>
    private var page: ArraySlice<TreeRow> = []

    init(_ tree: ViewIndexFile.Tree, _ reduceCount: Int, _ snapshot: ViewIndexFile.Snapshot) {
        reader = TreeReader(root: tree.root, totalRows: tree.count, reduceCount: reduceCount, load: snapshot.node)
        ranks = 0..<tree.count
    }

    mutating func next() throws -> TreeRow? {
        if page.isEmpty, !ranks.isEmpty {
            let window = ranks.prefix(1000)
            let count = try reader.count(of: window, upTo: 1 << 20, backwards: false).rows
            page = try reader.rows(ranks.prefix(count))[...]
            ranks = ranks.dropFirst(count)
        }
        return page.popFirst()
    }
}

/// How the rows of an index differ from those that it should have.
private struct RowDifference {
    /// Rows of a view; else entries by document.
    let isOfRows: Bool
    /// The sequence that the index has come to. What changed later may have other rows.
    let sequence: Int
    let documents: DocumentRows
    private var missing = 0
    private var surplus = 0
    private var different = 0
    private var example: String?
    private var known: (id: String, isLater: Bool)?

    init(isOfRows: Bool, sequence: Int, documents: DocumentRows) {
        self.isOfRows = isOfRows
        self.sequence = sequence
        self.documents = documents
    }

    /// In words; `nil`: it does not.
    var text: String? {
        guard let example else { return nil }
        return """
            has other rows than its documents give: \(missing) are missing, \(surplus) too many, \(different) different, \
            first one of document \(example)
            """
    }

    mutating func compare(_ found: consuming RowWalk, _ wanted: consuming RowWalk) throws {
        var left = try found.next()
        var right = try wanted.next()
        while left != nil || right != nil {
            let order = Self.order(left, right)
            if order < 0, let row = left {
                if try !isLater(row) { note(row, \.surplus) }
            } else if order > 0, let row = right {
                if try !isLater(row) { note(row, \.missing) }
            } else if let row = left, let other = right, row.key != other.key || row.value != other.value {
                if try !isLater(row) { note(row, \.different) }
            }
            if order <= 0 { left = try found.next() }
            if order >= 0 { right = try wanted.next() }
        }
    }

    private static func order(_ left: TreeRow?, _ right: TreeRow?) -> Int {
        guard let left else { return 1 }
        guard let right else { return -1 }
        return left.position.withUnsafeBufferPointer { left in
            right.position.withUnsafeBufferPointer { compareBytes(left, $0) }
        }
    }

    private func id(_ row: TreeRow) -> String {
        isOfRows ? row.id : RowPosition.id(in: row.position, sortLength: 0, hasOrdinal: false)
    }

    private mutating func note(_ row: TreeRow, _ count: WritableKeyPath<RowDifference, Int>) {
        self[keyPath: count] += 1
        if example != nil { return }
        let key = isOfRows ? " with key \(String(decoding: row.key.prefix(200), as: UTF8.self))" : ""
        example = "\"\(id(row))\"\(key)"
    }

    /// Whether the row's document has changed, or was purged, since the sequence of the index.
    private mutating func isLater(_ row: TreeRow) throws -> Bool {
        let id = id(row)
        if let known, known.id == id { return known.isLater }
        var isLater = try documents.winner(id, withBody: false).map { $0.sequence > sequence } ?? false
        if !isLater {
            let purge = try SQLStatement(documents.database, "SELECT 1 FROM purges WHERE id = ? AND sequence > ?")
                .bind(1, id).bind(2, sequence)
            isLater = try purge.step()
            purge.reset()
        }
        known = (id, isLater)
        return isLater
    }
}
