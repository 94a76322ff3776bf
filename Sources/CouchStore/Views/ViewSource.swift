/// What a view index reads documents from: the sequence log of one database.
///
/// Its calls block; an index makes them on its own threads only.
package protocol ViewSource: Sendable {
    /// The sequence of the newest change that a reader sees. Cheap: asked before every answer.
    func lastSequence() throws -> Int

    /// Hands over the documents that changed after `sequence`, oldest change first and each document once, at its
    /// newest change, until `body` answers `false` or there are no more.
    ///
    /// `document` is the winning revision as JSON text with `_id`, `_rev`, the body's members, `_attachments` (stubs),
    /// and `_conflicts` when there are any. It is `nil` when the winner is deleted or the document was purged.
    func readChanges(
        after sequence: Int, _ body: (_ sequence: Int, _ id: String, _ document: [UInt8]?) throws -> Bool
    ) throws
}
