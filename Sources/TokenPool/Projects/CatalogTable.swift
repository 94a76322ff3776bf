import CouchDocument

/// A part of a catalogue as a table: a CSV file of replicas, of storage elements or of the proximity map.
///
/// The first line names the columns, in any order. Which ones there are says what the table is about.
public struct CatalogTable: Sendable {
    enum Kind: Sendable { case replicas, rses, proximity }

    let file: NamedFile
    let kind: Kind
    /// The columns in their order.
    let columns: [String]
    /// A map may come without a line that names its columns, as Data Dispatcher's does.
    private let hasHeader: Bool

    private static let replicaColumns = [
        "did", "namespace", "name", "rse", "url", "urls", "path", "preference", "available",
    ]
    private static let proximityColumns = ["site", "rse", "proximity"]
    private static let rseColumns = ["name", "type"] + RSE.settings.map(\.name)

    /// A table in a file of that path. Reads its first line.
    ///
    /// - Parameter name: How errors call the file.
    /// - Throws: ``ConfigurationError`` with the place.
    public init(path: String, name: String) throws {
        file = NamedFile(path: path, name: name)
        var records = CSVReader(lines: try file.lines(), separator: ",")
        guard let first = try records.next() else {
            throw ConfigurationError(ConfigurationPlace(file: name), "the file has no first line with the columns")
        }
        if first.count == 3, Int(first[2]) != nil {
            (kind, columns, hasHeader) = (.proximity, Self.proximityColumns, false)
        } else {
            let place = ConfigurationPlace(file: name, line: 1)
            columns = first.map { $0.trimmed.lowercased() }
            kind = try Self.kind(of: columns, place)
            hasHeader = true
        }
    }

    private static func kind(of columns: [String], _ place: ConfigurationPlace) throws -> Kind {
        var seen: Set<String> = []
        for name in columns where !seen.insert(name).inserted {
            throw ConfigurationError(place, "column \"\(name)\" appears twice")
        }
        let (kind, known): (Kind, [String])
        if seen.contains("proximity") {
            (kind, known) = (.proximity, proximityColumns)
        } else if seen.contains("rse") || seen.contains("url") || seen.contains("did") {
            (kind, known) = (.replicas, replicaColumns)
        } else {
            (kind, known) = (.rses, rseColumns)
        }
        for name in columns where !known.contains(name) {
            throw ConfigurationError(
                place, "column \"\(name)\" is not known; there can be \(known.joined(separator: ", "))")
        }
        let wanted: [String] =
            switch kind {
            case .proximity: proximityColumns
            case .replicas: (seen.contains("did") ? ["did"] : ["namespace", "name"]) + ["rse", "url"]
            case .rses: ["name"]
            }
        for name in wanted where !seen.contains(name) {
            throw ConfigurationError(place, "column \"\(name)\" is missing")
        }
        return kind
    }

    /// Reads all of it.
    ///
    /// - Returns: How many rows it has.
    /// - Throws: ``ConfigurationError`` with file and line of the first row that is wrong.
    @discardableResult
    public func check() throws -> Int {
        var reader = try rows()
        var count = 0
        while let row = try reader.next() {
            _ = try value(of: row)
            count += 1
        }
        return count
    }

    struct Row {
        let place: ConfigurationPlace
        let fields: [String: String]
    }

    struct RowReader {
        fileprivate var records: CSVReader
        fileprivate let columns: [String]
        fileprivate let file: String

        /// The next row that is not blank.
        mutating func next() throws -> Row? {
            while let record = try records.next() {
                if record == [""] { continue }
                let place = ConfigurationPlace(file: file, line: records.firstLine)
                guard record.count == columns.count else {
                    throw ConfigurationError(place, "\(record.count) values for \(columns.count) columns")
                }
                return Row(place: place, fields: Dictionary(zip(columns, record), uniquingKeysWith: { $1 }))
            }
            return nil
        }
    }

    func rows() throws -> RowReader {
        var records = CSVReader(lines: try file.lines(), separator: ",")
        if hasHeader { _ = try records.next() }
        return RowReader(records: records, columns: columns, file: file.name)
    }

    enum Value {
        case replica(Catalog.Entry)
        case rse(RSE)
        case proximity(site: String, rse: String, value: Int)
    }

    /// What a row says.
    func value(of row: Row) throws -> Value {
        do {
            switch kind {
            case .replicas: return .replica(try replica(row))
            case .rses: return .rse(try Catalog.rse(try rse(row)))
            case .proximity:
                let (site, rse) = (row.fields["site"] ?? "", row.fields["rse"] ?? "")
                guard !site.isEmpty, !rse.isEmpty else { throw Catalog.Fault("site and rse are wanted") }
                guard let value = Int((row.fields["proximity"] ?? "").trimmed) else {
                    throw Catalog.Fault("proximity must be a whole number")
                }
                return .proximity(site: site, rse: rse, value: value)
            }
        } catch let fault as Catalog.Fault { throw ConfigurationError(row.place, fault.reason) }
    }

    private func replica(_ row: Row) throws -> Catalog.Entry {
        let did =
            if let text = row.fields["did"] { DID(text) } else {
                DID(namespace: row.fields["namespace"] ?? "", name: row.fields["name"] ?? "")
            }
        guard let did else { throw Catalog.Fault("namespace (without a colon) and name are wanted") }
        guard let rse = row.fields["rse"], !rse.isEmpty else { throw Catalog.Fault("rse is missing") }
        guard let url = row.fields["url"], !url.isEmpty else { throw Catalog.Fault("url is missing") }
        let more = (row.fields["urls"] ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
        var replica = Replica(rse: rse, url: url, urls: more.contains(url) ? more : [url] + more)
        if let path = row.fields["path"], !path.isEmpty { replica.path = path }
        replica.preference = try number("preference", row) ?? 0
        let available = try flag("available", row)
        replica.isAvailable = available ?? true
        return Catalog.Entry(did: did, replica: replica, saysAvailability: available != nil)
    }

    private func rse(_ row: Row) throws -> JSON {
        var members: JSONObject = [:]
        for (name, text) in row.fields where !text.isEmpty {
            switch RSE.settings.first(where: { $0.name == name })?.kind {
            case .flag: members[name] = try flag(name, row).map(JSON.bool)
            case .number: members[name] = try number(name, row).map(JSON.integer)
            case .text, nil: members[name] = .string(text)
            }
        }
        return .object(members)
    }

    private func number(_ name: String, _ row: Row) throws -> Int? {
        guard let text = row.fields[name]?.trimmed, !text.isEmpty else { return nil }
        guard let number = Int(text) else { throw Catalog.Fault("\(name) must be a whole number, not \"\(text)\"") }
        return number
    }

    private func flag(_ name: String, _ row: Row) throws -> Bool? {
        guard let text = row.fields[name]?.trimmed.lowercased(), !text.isEmpty else { return nil }
        switch text {
        case "true", "yes", "1", "t", "y": return true
        case "false", "no", "0", "f", "n": return false
        default: throw Catalog.Fault("\(name) must be true or false, not \"\(text)\"")
        }
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

extension Projects {
    /// Rows of a table that are held at a time.
    private static let tableBatch = 5000

    /// Takes over a table: adds what is missing and changes what is there. Holds a few thousand rows at a time.
    ///
    /// - Parameter table: One that ``CatalogTable/check()`` found right; what is wrong in it is met only after the rows
    ///   before it were written.
    /// - Throws: ``ConfigurationError`` with file and line of the first row that is wrong.
    public func load(checked table: CatalogTable) async throws -> CatalogReport {
        var report = CatalogReport()
        var reader = try table.rows()
        var replicas: [Catalog.Entry] = []
        var rses: [RSE] = []
        var distances: [(site: String, rse: String, proximity: Int)] = []
        while let row = try reader.next() {
            switch try table.value(of: row) {
            case .replica(let entry): replicas.append(entry)
            case .rse(let rse): rses.append(rse)
            case .proximity(let site, let rse, let value): distances.append((site, rse, value))
            }
            if replicas.count == Self.tableBatch {
                report.add(try await load(Catalog(replicas: replicas)))
                replicas = []
            }
        }
        let proximity = table.kind == .proximity ? ProximityMap(distances) : nil
        report.add(try await load(Catalog(rses: rses, replicas: replicas, proximity: proximity)))
        return report
    }
}
