import CouchDB
import CouchDocument

/// How a table of tokens is written.
public enum TableFormat: String, Sendable, CaseIterable {
    /// Comma-separated values with a line of headings (RFC 4180).
    case csv
    /// A JSON object a line: the whole token without its attachments.
    case jsonl
}

extension TokenSets {
    /// Writes a set's tokens as a table, row by row, however many there are.
    ///
    /// - Parameters:
    ///   - states: Which tokens; `nil` all.
    ///   - columns: The fields, members with a dot such as `input.q`; `state` is the token's. `nil` takes what the tokens
    ///     have, which needs a second look at all of them for CSV.
    ///   - write: Gets the text, in order.
    /// - Returns: How many tokens were written.
    @discardableResult
    public func table(
        of name: String, as format: TableFormat, states: Set<TokenState>? = nil, columns: [String]? = nil,
        _ write: (String) throws -> Void
    ) async throws -> Int {
        let set = try await set(name)
        var count = 0
        func each(_ use: (Token) throws -> Void) async throws {
            try await pages(.setTokens, key: .string(set.name)) { rows in
                for token in rows.compactMap({ $0.document.map(Token.init) })
                where states?.contains(token.state) ?? true { try use(token) }
            }
        }
        switch format {
        case .jsonl:
            try await each { token in
                var fields: JSONObject = [:]
                for (name, value) in token.document.fields where name != "_attachments" && name != "_rev" {
                    fields[name] = value
                }
                if let columns {
                    fields = JSONObject(columns.compactMap { column in Self.cell(column, token).map { (column, $0) } })
                }
                try write(String(decoding: JSON.object(fields).encoded(), as: UTF8.self) + "\n")
                count += 1
            }
        case .csv:
            var names = columns ?? []
            if columns == nil {
                var known: Set<String> = []
                try await each { token in
                    for column in Self.columns(of: token) where known.insert(column).inserted { names.append(column) }
                }
                names = ["_id", "state"] + names
            }
            try write(Self.line(names))
            try await each { token in
                try write(Self.line(names.map { Self.text(Self.cell($0, token)) }))
                count += 1
            }
        }
        return count
    }

    /// The columns that a token fills: its fields, and the members of those that are objects. Of `pool` only what people
    /// sort by.
    private static func columns(of token: Token) -> [String] {
        var columns: [String] = []
        for (name, value) in token.document.fields where !name.hasPrefix("_") {
            if name == "pool" {
                columns += ["pool.set", "pool.priority", "pool.attempts"].filter { cell($0, token) != nil }
            } else if let members = value.objectValue {
                columns += members.names.map { name + "." + $0 }
            } else {
                columns.append(name)
            }
        }
        return columns
    }

    private static func cell(_ column: String, _ token: Token) -> JSON? {
        if column == "state" && token["state"] == nil { return .string(token.state.rawValue) }
        if let value = token.document.fields[column] { return value }
        guard let dot = column.firstIndex(of: ".") else { return nil }
        return token.document.fields[String(column[..<dot])]?[String(column[column.index(after: dot)...])]
    }

    private static func text(_ value: JSON?) -> String {
        switch value {
        case nil, .null: ""
        case .string(let text): text
        case let value?: value.description
        }
    }

    private static func line(_ cells: [String]) -> String {
        cells.map { cell in
            let isPlain = !cell.utf8.contains { byte in
                [UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r")].contains(byte)
            }
            return isPlain ? cell : "\"" + cell.replacing("\"", with: "\"\"") + "\""
        }.joined(separator: ",") + "\r\n"
    }
}
