import CouchDocument
import Crypto
import GRDB

/// Looks through one database for damage, in one snapshot and without changing anything; a server may work in it.
struct DatabaseCheck {
    /// Problems after which the rest is not told one by one.
    private static let longestList = 20

    let database: Database
    let attachments: AttachmentStore
    private(set) var documents = 0
    private(set) var deleted = 0
    private(set) var problems: [String] = []

    init(_ database: Database, attachments: AttachmentStore) {
        self.database = database
        self.attachments = attachments
    }

    mutating func run() throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version == DatabaseFile.version else {
            report("is of format \(version), this program checks \(DatabaseFile.version): start tokenpoold on it once")
            return
        }
        // Structure first: what follows relies on it. Tables and indexes are compared here too.
        for line in try String.fetchAll(database, sql: "PRAGMA integrity_check(\(Self.longestList))") where line != "ok"
        {
            report(line)
        }
        if !problems.isEmpty { return }
        let state = try DatabaseState(reading: database)
        try checkDocuments(state)
        try checkCounts()
        try checkContents()
    }

    private mutating func report(_ problem: String) {
        if problems.count < Self.longestList { problems.append(problem) }
        if problems.count == Self.longestList { problems.append("and more") }
    }

    // MARK: Documents

    private mutating func checkDocuments(_ state: DatabaseState) throws {
        let row = try SQLStatement(
            database, "SELECT \(DocumentRows.columnsWithBody) FROM documents ORDER BY sequence")
        defer { row.reset() }
        var last = 0
        while try row.step() {
            let document = DocumentRows.document(row, withBody: true)
            last = document.sequence
            if document.isDeleted { deleted += 1 } else { documents += 1 }
            if (try? JSON(parsing: document.body))?.objectValue == nil {
                report("document \"\(document.id)\": its body is no JSON object")
            }
            let leaves = document.tree.leaves
            if leaves.first?.revision != document.revision || leaves.count != document.leafCount {
                report(
                    "document \"\(document.id)\": its winner \(document.revision) does not follow from its revisions")
            }
            for leaf in leaves.dropFirst() where try !hasBody(leaf.revision, of: document) {
                report("document \"\(document.id)\": the body of its leaf \(leaf.revision) is not there")
            }
            for attachment in document.attachments where try !hasContent(attachment) {
                report("document \"\(document.id)\": the content of attachment \"\(attachment.name)\" is not there")
            }
        }
        if documents != state.documents || deleted != state.deleted {
            report(
                """
                counts \(state.documents) documents and \(state.deleted) deleted ones, has \(documents) and \(deleted)
                """)
        }
        if last > state.sequence { report("its last change \(last) is after its update sequence \(state.sequence)") }
    }

    private func exists(_ statement: SQLStatement) throws -> Bool {
        defer { statement.reset() }
        return try statement.step()
    }

    private func hasBody(_ leaf: Revision, of document: StoredDocument) throws -> Bool {
        try exists(
            SQLStatement(database, "SELECT 1 FROM revisions WHERE number = ? AND revision = ? AND leaf = 1")
                .bind(1, document.number).bind(2, leaf.encoded))
    }

    private func hasContent(_ attachment: StoredAttachment) throws -> Bool {
        try exists(
            SQLStatement(database, "SELECT 1 FROM contents WHERE md5 = ? AND length = ?")
                .bind(1, attachment.md5).bind(2, attachment.storedLength))
    }

    // MARK: Counts

    private mutating func checkCounts() throws {
        if try !SequenceCounts.agree(in: database) { report("its counts by sequence are not those of its documents") }
        if try !IDCounts.agree(in: database) { report("its counts by id are not those of its documents") }
    }

    // MARK: Attachments

    private mutating func checkContents() throws {
        let row = try SQLStatement(database, "SELECT md5, length, bytes FROM contents")
        defer { row.reset() }
        while try row.step() {
            let digest = row.bytes(0)
            let length = row.integer(1)
            let name = "the attachment content \(hexadecimal(digest)) of \(length) bytes"
            if !row.isNull(2) {
                if Array(Insecure.MD5.hash(data: row.bytes(2))) != digest { report("\(name) has other bytes") }
                continue
            }
            do {
                let path = attachments.path(md5: digest, length: length)
                if fileSize(path) != length {
                    report("\(name) has a file of \(fileSize(path))")
                } else if try Self.digest(path, length) != digest {
                    report("\(name) has other bytes")
                }
            } catch {
                report("\(name): \(error)")
            }
        }
    }

    private static func digest(_ path: String, _ length: Int) throws -> [UInt8] {
        let file = try OpenFile(path: path)
        var hash = Insecure.MD5()
        for start in stride(from: 0, to: length, by: 1 << 20) {
            hash.update(data: try file.read(start..<min(start + (1 << 20), length)))
        }
        return Array(hash.finalize())
    }
}
