import Foundation
import Testing

@Suite("docs/data-dispatcher.md")
struct WeaknessTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    /// The rows of the table of weaknesses: their number and the names of tests in them.
    private static func rows() throws -> [(number: Int, tests: [String])] {
        let page = try String(contentsOf: root.appending(path: "docs/data-dispatcher.md"), encoding: .utf8)
        return page.split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false)
            guard cells.count == 6, let number = Int(cells[1].trimmingCharacters(in: .whitespaces)) else { return nil }
            let quoted = cells[4].split(separator: "\"", omittingEmptySubsequences: false)
            return (number, quoted.indices.filter { $0 % 2 == 1 }.map { String(quoted[$0]) })
        }
    }

    @Test("has a row for each weakness of the original, with names of tests that there are")
    func table() throws {
        let rows = try Self.rows()
        #expect(rows.map(\.number) == Array(1...25))
        var sources = ""
        let tests = Self.root.appending(path: "Tests")
        let files = try #require(FileManager.default.enumerator(at: tests, includingPropertiesForKeys: nil))
        for case let file as URL in files where file.pathExtension == "swift" {
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        for row in rows {
            for test in row.tests { #expect(sources.contains("\"\(test)\""), "row \(row.number): \(test)") }
        }
    }
}
