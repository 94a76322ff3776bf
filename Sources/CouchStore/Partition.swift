import CouchDocument

/// The partitions of a database that has them: what stands before the first colon of a document's id (couch_partition).
package enum Partition {
    /// The partition that an id is in; `nil` for design documents and other ids without one.
    static func name(ofID id: String) -> Substring? {
        guard !id.hasPrefix("_"), let colon = id.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return id[..<colon]
    }

    /// The ids of a partition: from the first, up to but without the second.
    static func ids(of name: String) -> (start: String, end: String) { (name + ":", name + ";") }

    /// Refuses what can be no partition.
    package static func check(_ name: some StringProtocol) throws(StoreError) {
        if name.isEmpty { throw .partition("Partition must not be empty") }
        if name.utf8.first == UInt8(ascii: "_") { throw .partition("Partition must not start with an underscore") }
        if name.utf8.contains(UInt8(ascii: ":")) { throw .partition("Partition must not contain a colon") }
    }

    /// Refuses ids that name no partition. Design and local documents need none.
    package static func check(id: String) throws(StoreError) {
        if id.hasPrefix("_design/") || id.hasPrefix("_local/") { return }
        guard let colon = id.utf8.firstIndex(of: UInt8(ascii: ":")) else {
            throw .documentID("Doc id must be of form partition:id")
        }
        try check(id[..<colon])
        let rest = id.utf8[id.utf8.index(after: colon)...]
        if rest.isEmpty { throw .documentID("Document id must not be empty") }
        if rest.first == UInt8(ascii: "_") {
            throw .documentID("Only reserved document ids may start with underscore.")
        }
    }
}

extension StoreError {
    /// 400: a name that can be no partition's.
    static func partition(_ reason: String) -> StoreError {
        StoreError(code: Code("illegal_partition", status: 400), reason: reason)
    }

    /// 400: an id that may not be.
    fileprivate static func documentID(_ reason: String) -> StoreError {
        StoreError(code: Code("illegal_docid", status: 400), reason: reason)
    }
}
