/// Which names a database can have, and the file that stands for one.
package enum DatabaseName {
    /// The longest name, so that file names stay within 255 bytes.
    private static let longest = 238

    /// Throws CouchDB's error when no database can have that name.
    package static func check(_ name: String) throws(StoreError) {
        let systems: Set<String> = ["_users", "_replicator", "_global_changes", "_dbs", "_nodes"]
        guard name.utf8.count <= longest else {
            throw StoreError(
                code: .init("database_name_too_long", status: 400),
                reason: "At least one path segment of `\(name)` is too long.")
        }
        let isLegal =
            systems.contains(name)
            || ((name.utf8.first.map { (0x61...0x7A).contains($0) } ?? false)
                && name.utf8.allSatisfy { unit in
                    switch unit {
                    case 0x61...0x7A, 0x30...0x39: true
                    default: "_$()+-/".utf8.contains(unit)
                    }
                })
        if isLegal { return }
        throw StoreError(
            .illegalDatabaseName,
            """
            Name: '\(name)'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, \
            and / are allowed. Must begin with a letter.
            """)
    }

    /// Whether the documents of a database of that name are replications: `_replicator`, or one that ends in
    /// `/_replicator`, as in CouchDB.
    package static func isReplicator(_ name: String) -> Bool { name == "_replicator" || name.hasSuffix("/_replicator") }

    /// A name without `/`, the same for no other database. Names hold no `%`.
    static func fileName(_ name: String) -> String {
        name.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "%2F")
    }

    /// The database whose file has that name (without its extension); `nil` when no database has.
    static func name(fileName: some StringProtocol) -> String? {
        var name = ""
        var rest = fileName[...]
        while let percent = rest.firstIndex(of: "%") {
            guard rest[percent...].hasPrefix("%2F") else { return nil }
            name += rest[..<percent] + "/"
            rest = rest[rest.index(percent, offsetBy: 3)...]
        }
        name += rest
        do { try check(name) } catch { return nil }
        return name
    }
}
