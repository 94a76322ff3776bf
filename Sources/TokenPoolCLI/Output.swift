import CouchDB
import CouchDocument
import Foundation

/// Where a command's answer goes: data to stdout, talk to stderr.
struct Output {
    enum Style { case people, json, quiet }

    let style: Style

    /// A line of data on stdout.
    func line(_ text: String) { Self.write(text + "\n", to: .standardOutput) }

    /// Talk on stderr; nothing with `--quiet`.
    func say(_ text: String) {
        if style != .quiet { Self.write(text + "\n", to: .standardError) }
    }

    /// A line about what went wrong with one of many, on stderr also with `--quiet`.
    func complain(_ text: String) { Self.write("tokenpool: \(Self.printable(text))\n", to: .standardError) }

    /// One answer: JSON with `--json`, else the lines for people.
    func answer(_ json: @autoclosure () -> JSON, _ lines: @autoclosure () -> [String]) {
        if style == .json {
            line(String(decoding: json().encoded(), as: UTF8.self))
        } else {
            for text in lines() { line(text) }
        }
    }

    /// Rows under headings. With `--json` an array of objects whose members are the headings; with `--quiet` the first
    /// column only.
    func table(_ headings: [String], _ rows: [[String]], json: @autoclosure () -> [JSON]? = nil) {
        switch style {
        case .json:
            let objects =
                json() ?? rows.map { row in .object(JSONObject(zip(headings, row.map(JSON.string)))) }
            line(String(decoding: JSON.array(objects).encoded(), as: UTF8.self))
        case .quiet: for row in rows { line(Self.printable(row.first ?? "")) }
        case .people:
            let cells = rows.map { $0.map(Self.printable) }
            let widths = headings.indices.map { column in
                max(headings[column].count, cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0)
            }
            for row in [headings.map { $0.uppercased() }] + cells {
                let padded = row.enumerated().map { column, cell in
                    column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
                }
                line(padded.joined(separator: "  "))
            }
        }
    }

    /// An event of long work: a line of JSON with `--json`, else a line of talk.
    func event(_ json: @autoclosure () -> JSON, _ text: @autoclosure () -> String) {
        switch style {
        case .json: line(String(decoding: json().encoded(), as: UTF8.self))
        case .people: say(text())
        case .quiet: break
        }
    }

    /// Names may hold anything: control characters must not reach a terminal or break a table.
    static func printable(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else { return text }
        return text.unicodeScalars.map { scalar in
            switch scalar {
            case "\n": "\\n"
            case "\t": "\\t"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F: "\\u{" + String(scalar.value, radix: 16) + "}"
            default: String(scalar)
            }
        }.joined()
    }

    private static func write(_ text: String, to handle: FileHandle) { handle.write(Data(text.utf8)) }
}
