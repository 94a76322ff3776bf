import CouchDocument

/// How far storage elements are from the sites where workers run. Lower is nearer.
public struct ProximityMap: Hashable, Sendable {
    /// What stands for every site, and for every storage element.
    public static let anywhere = "DEFAULT"
    static let documentID = "proximity"

    private var rows: [String: [String: Int]]

    /// Everything is equally near.
    public init() { rows = [Self.anywhere: [Self.anywhere: 100]] }

    /// A map of such rows; of two for the same pair the last counts.
    public init(_ entries: [(site: String, rse: String, proximity: Int)]) {
        rows = [:]
        for entry in entries { rows[entry.site, default: [:]][entry.rse] = entry.proximity }
    }

    init(_ document: Document) {
        rows = [:]
        for row in document["rows"]?.arrayValue ?? [] {
            guard let site = row[0]?.stringValue, let rse = row[1]?.stringValue, let value = row[2]?.intValue else {
                continue
            }
            rows[site, default: [:]][rse] = value
        }
    }

    /// The rows, sorted by site and storage element.
    public var entries: [(site: String, rse: String, proximity: Int)] {
        rows.sorted { $0.key < $1.key }.flatMap { site, row in
            row.sorted { $0.key < $1.key }.map { (site, $0.key, $0.value) }
        }
    }

    /// As it stands in its document.
    var record: JSON {
        .array(entries.map { [.string($0.site), .string($0.rse), .integer($0.proximity)] })
    }

    /// How far a storage element is from a site: what its row says, or the row of all sites when it has none; there of
    /// that storage element, or of all. `nil` when nothing is said.
    public func proximity(of rse: String, to site: String) -> Int? {
        let row = rows[site] ?? rows[Self.anywhere]
        return row?[rse] ?? row?[Self.anywhere]
    }
}
