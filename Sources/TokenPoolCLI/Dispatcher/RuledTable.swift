/// A table as Data Dispatcher's commands print it: columns as wide as they must be, and rules of dashes.
struct RuledTable {
    struct Column {
        let title: String
        var width: Int
        let isLeft: Bool

        /// - Parameter minimum: It is at least so wide.
        init(_ title: String, isLeft: Bool = false, minimum: Int = 0) {
            self.title = title
            self.isLeft = isLeft
            width = max(title.unicodeScalars.count, minimum)
        }
    }

    private var columns: [Column]
    private var rows: [[String]] = []

    init(_ columns: [Column]) { self.columns = columns }

    mutating func add(_ row: [String]) {
        let cells = row.map(Output.printable)
        for index in columns.indices {
            columns[index].width = max(columns[index].width, cells[index].unicodeScalars.count)
        }
        rows.append(cells)
    }

    var lines: [String] {
        let rule = columns.map { String(repeating: "-", count: $0.width) }.joined(separator: " ")
        return [line(columns.map(\.title)), rule] + rows.map(line) + [rule]
    }

    private func line(_ cells: [String]) -> String {
        zip(cells, columns).map { Self.padded($0, to: $1.isLeft ? -$1.width : $1.width) }.joined(separator: " ")
    }

    /// As `%15s`, and for widths below zero as `%-15s`.
    static func padded(_ text: String, to width: Int) -> String {
        let blanks = String(repeating: " ", count: max(0, abs(width) - text.unicodeScalars.count))
        return width < 0 ? text + blanks : blanks + text
    }
}
