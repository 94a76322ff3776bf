import CouchDocument

/// One token a line of a text file. Blank lines make none, nor do lines that begin with the comment sign.
struct LinesSource: TokenSource {
    let file: NamedFile
    let comment: String?

    var valueNames: [String]? { ["line", "line_number", "words"] }

    func rows() throws -> () throws -> SourceRow? {
        var reader = try file.lines()
        return {
            while let line = try reader.next() {
                guard let first = line.firstIndex(where: { !$0.isWhitespace }) else { continue }
                if let comment, line[first...].hasPrefix(comment) { continue }
                let words = line.split(whereSeparator: \.isWhitespace).map { JSON.string(String($0)) }
                return SourceRow(
                    values: ["line": .string(line), "line_number": .integer(reader.line), "words": .array(words)],
                    place: "\(file.name):\(reader.line)", input: .string(line))
            }
            return nil
        }
    }
}

/// One token a record of a CSV file (RFC 4180: quotes, and line ends within them). The first record names the columns
/// unless the configuration does. Values are texts, exactly as in the file.
struct CSVSource: TokenSource {
    let file: NamedFile
    let separator: Character
    let columns: [String]?

    /// The columns of a file whose first record names them.
    static func header(of file: NamedFile, separator: Character) throws -> [String] {
        var records = CSVReader(lines: try file.lines(), separator: separator)
        guard let names = try records.next() else {
            throw ConfigurationError(ConfigurationPlace(file: file.name), "the file has no first line with the columns")
        }
        var seen: Set<String> = []
        for name in names where name.isEmpty || !seen.insert(name).inserted {
            throw ConfigurationError(
                ConfigurationPlace(file: file.name, line: 1),
                name.isEmpty ? "a column has no name" : "column \"\(name)\" appears twice")
        }
        return names
    }

    let names: [String]

    init(file: NamedFile, separator: Character, columns: [String]?) throws {
        self.file = file
        self.separator = separator
        self.columns = columns
        names = try columns ?? Self.header(of: file, separator: separator)
    }

    var valueNames: [String]? { names }

    func rows() throws -> () throws -> SourceRow? {
        var records = CSVReader(lines: try file.lines(), separator: separator)
        if columns == nil { _ = try records.next() }
        return {
            while let record = try records.next() {
                if record == [""] { continue }
                let place = ConfigurationPlace(file: file.name, line: records.firstLine)
                guard record.count == names.count else {
                    throw ConfigurationError(place, "\(record.count) values for \(names.count) columns")
                }
                return SourceRow(
                    values: JSONObject(zip(names, record).map { ($0, .string($1)) }), place: place.description)
            }
            return nil
        }
    }
}

/// Splits a CSV file into records.
struct CSVReader {
    private var lines: LineReader
    private let separator: Character
    /// The line on which the last record began.
    private(set) var firstLine = 0

    init(lines: LineReader, separator: Character) {
        self.lines = lines
        self.separator = separator
    }

    mutating func next() throws -> [String]? {
        guard var line = try lines.next() else { return nil }
        firstLine = lines.line
        if let separator = separator.asciiValue, !line.utf8.contains(UInt8(ascii: "\"")) {
            return line.utf8.split(separator: separator, omittingEmptySubsequences: false).map { String(Substring($0)) }
        }
        var fields: [String] = []
        var field = ""
        var isQuoted = false
        while true {
            var characters = line.makeIterator()
            var pending = characters.next()
            while let character = pending {
                pending = characters.next()
                if isQuoted {
                    if character != "\"" {
                        field.append(character)
                    } else if pending == "\"" {
                        field.append("\"")
                        pending = characters.next()
                    } else {
                        isQuoted = false
                    }
                } else if character == "\"" && field.isEmpty {
                    isQuoted = true
                } else if character == separator {
                    fields.append(field)
                    field = ""
                } else {
                    field.append(character)
                }
            }
            guard isQuoted else { break }
            guard let more = try lines.next() else {
                throw ConfigurationError(
                    ConfigurationPlace(file: lines.file, line: firstLine), "a quoted value has no closing quote")
            }
            field.append("\n")
            line = more
        }
        return fields + [field]
    }
}
