import CouchDocument

/// One revision of a document as it is on disk.
package struct StoredDocument: Sendable {
    /// The document's id.
    package let id: String
    /// This revision.
    package let revision: Revision
    /// Whether this revision is a tombstone.
    package let isDeleted: Bool
    /// The sequence of the document's latest change.
    package let sequence: Int
    /// JSON text of the members without those whose names start with `_`; `{}` when there are none.
    package let body: [UInt8]
    /// What stands for the document in the table of revisions; never another document's.
    let number: Int
    /// The number of leaves, deleted ones too.
    let leafCount: Int
    /// The revision tree as stored; `nil` when the document has had one revision only.
    let encodedTree: [UInt8]?
    /// The winner, which stands for the tree when there is no other.
    let winner: Revision
    let isWinnerDeleted: Bool
    /// The attachments as stored; `nil` when there are none.
    let encodedAttachments: [UInt8]?

    /// All revisions of the document. Decoded at each call.
    package var tree: RevisionTree {
        encodedTree.map { RevisionTree(decoding: $0) } ?? RevisionTree(winner, isDeleted: isWinnerDeleted)
    }

    /// The attachments, in order. Decoded at each call.
    package var attachments: [StoredAttachment] { encodedAttachments.map { AttachmentCoding.decode($0) } ?? [] }

    /// Whether there are attachments.
    package var hasAttachments: Bool { encodedAttachments != nil }

    /// Whether there are leaves besides the winner, deleted or not.
    package var hasOtherLeaves: Bool { leafCount > 1 }

    /// The document as a value: `_id`, `_rev`, the members, `_deleted`, attachment stubs.
    package func document() -> Document {
        var writer = JSONWriter()
        write(to: &writer)
        // The text was written by us from a value, so it can be read.
        let fields = (try? JSON(parsing: writer.bytes))?.objectValue ?? [:]
        return Document(fields: fields)
    }
}

/// What is told of a document besides its members.
package struct DocumentDetails: OptionSet, Sendable {
    package let rawValue: Int
    package init(rawValue: Int) { self.rawValue = rawValue }

    /// `_revisions`: the ancestors' hashes.
    package static let revisions = DocumentDetails(rawValue: 1)
    /// `_conflicts`: the other leaves that are not deleted.
    package static let conflicts = DocumentDetails(rawValue: 2)
    /// `_deleted_conflicts`: the deleted leaves besides this one.
    package static let deletedConflicts = DocumentDetails(rawValue: 4)
    /// `_local_seq`.
    package static let localSequence = DocumentDetails(rawValue: 8)
    /// No `_attachments`, because the caller writes them.
    package static let withoutAttachments = DocumentDetails(rawValue: 16)
    /// `encoding` and `encoded_length` in attachment stubs.
    package static let attachmentEncodings = DocumentDetails(rawValue: 32)
}

extension StoredDocument {
    /// Writes the document as CouchDB does, member order included, without parsing its body.
    ///
    /// - Parameters:
    ///   - sequence: How `_local_seq` is written.
    ///   - more: Members to add before `_attachments`, such as `_revs_info`.
    ///   - attachment: The member of `_attachments` for an attachment; `nil` gives the stub.
    package func write(
        to writer: inout JSONWriter, details: DocumentDetails = [], sequence: String? = nil, more: JSONObject = [:],
        attachment: ((StoredAttachment) -> JSONObject?)? = nil
    ) {
        writer.raw("{\"_id\":")
        writer.write(id)
        writer.raw(",\"_rev\":\"")
        writer.raw(revision.description.utf8)
        writer.raw("\"")
        if body.count > 2 {
            writer.raw(",")
            writer.raw(body[1..<body.count - 1])
        }
        if isDeleted { writer.raw(",\"_deleted\":true") }
        writeHistory(to: &writer, details: details, sequence: sequence)
        for (name, value) in more {
            writer.raw(",")
            writer.write(name)
            writer.raw(":")
            writer.write(value)
        }
        if encodedAttachments != nil, !details.contains(.withoutAttachments) {
            var members = JSONObject()
            for entry in attachments {
                members[entry.name] = .object(
                    attachment?(entry) ?? entry.stub(withEncoding: details.contains(.attachmentEncodings)))
            }
            writer.raw(",\"_attachments\":")
            writer.write(members)
        }
        writer.raw("}")
    }

    private func writeHistory(to writer: inout JSONWriter, details: DocumentDetails, sequence: String?) {
        if !details.isDisjoint(with: [.revisions, .conflicts, .deletedConflicts]) {
            let tree = tree
            if details.contains(.revisions) {
                let path = tree.path(to: revision)
                writer.raw(",\"_revisions\":")
                let revisions: JSONObject = [
                    "start": .integer(revision.generation), "ids": .array(path.map { .string($0.hash) }),
                ]
                writer.write(revisions)
            }
            let others = hasOtherLeaves ? tree.leaves.filter { $0.revision != revision } : []
            let kinds: [(DocumentDetails, String, Bool)] = [
                (.conflicts, "_conflicts", false), (.deletedConflicts, "_deleted_conflicts", true),
            ]
            for (detail, name, deleted) in kinds where details.contains(detail) {
                let listed = others.filter { $0.isDeleted == deleted }
                guard !listed.isEmpty else { continue }
                writer.raw(",")
                writer.write(name)
                writer.raw(":")
                writer.write(.array(listed.map { .string($0.revision.description) }))
            }
        }
        if details.contains(.localSequence), let sequence {
            writer.raw(",\"_local_seq\":")
            writer.write(sequence)
        }
    }
}
