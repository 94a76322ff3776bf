/// What a view index reads documents from: the sequence log of one database.
///
/// Its calls block; an index makes them on its own threads only.
package protocol ViewSource: Sendable {
    /// The sequence of the newest change that a reader sees. Cheap: asked before every answer.
    func lastSequence() throws -> Int

    /// The documents that changed after `first` and not after `last`, oldest change first and each document once, at its
    /// newest change, as one snapshot has them, until the page is full. A page that is not full is the last one.
    ///
    /// A document that is changed again meanwhile stands at that change, after `last` perhaps.
    func changes(after first: Int, through last: Int) throws -> ViewChanges

    /// Runs with the log as it is at one moment, which is kept for as long as that takes.
    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws
}

/// The changes of another source, whose reader tells how far it has come.
struct FollowedSource: ViewSource {
    let source: any ViewSource
    let report: @Sendable (Int) -> Void

    func lastSequence() throws -> Int { try source.lastSequence() }

    func changes(after first: Int, through last: Int) throws -> ViewChanges {
        report(first)
        return try source.changes(after: first, through: last)
    }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws {
        try source.atOneMoment { try body(FollowedSource(source: $0, report: report)) }
    }
}
