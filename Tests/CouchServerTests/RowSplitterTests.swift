import CouchDocument
import Testing

@testable import CouchServer

/// Request bodies of `_bulk_docs` that come in pieces.
@Suite("Rows of a body")
struct RowSplitterTests {
    /// The rest and the rows, as values; `nil` when one of them is no JSON.
    private func split(_ bytes: [UInt8], piece: Int, takesEarly: Bool = true) -> (rest: JSON, rows: [JSON])? {
        var splitter = RowSplitter("docs")
        var texts: [ArraySlice<UInt8>] = []
        func take() {
            let (text, ends) = splitter.takeRows()
            for (start, end) in zip([0] + ends, ends) { texts.append(text[start..<end]) }
        }
        for start in stride(from: 0, to: bytes.count, by: piece) {
            bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { splitter.push($0) }
            if takesEarly { take() }
        }
        take()
        guard let rest = try? JSON(parsing: splitter.rest) else { return nil }
        let rows = texts.compactMap { try? JSON(parsing: $0) }
        return rows.count == texts.count ? (rest, rows) : nil
    }

    private static let bodies = [
        #"{"docs":[{"a":1},{"b":[2,{"c":"],\"}{"}]}],"new_edits":false}"#,
        #" { "x" : {"docs":[1]} , "docs" : [ {"_id":"é,]"} , 5 , "s" , null , [ ] ] , "y" : "docs" } "#,
        #"{"docs":[]}"#, #"{"docs":[ ],"docs2":[1,2]}"#, #"{"docs":{"a":[1]}}"#, #"{"docs":"docs"}"#, #"{}"#,
        #"{"do":1,"docsx":[1],"docs":["\\","\\\"",["\u005d"]]}"#, #"{"d\u006fcs":[1,2]}"#,
    ]

    @Test("each row and the rest are what the whole says, wherever the body is cut", arguments: bodies)
    func wellFormed(_ body: String) throws {
        let whole = try #require(try JSON(parsing: body).objectValue)
        for piece in 1...body.utf8.count {
            for takesEarly in [true, false] {
                let (rest, rows) = try #require(split(Array(body.utf8), piece: piece, takesEarly: takesEarly))
                var wanted = whole
                if let list = whole["docs"]?.arrayValue, !body.contains("\\u006f") {
                    #expect(rows == list)
                    wanted["docs"] = []
                } else {
                    #expect(rows.isEmpty)
                }
                #expect(rest == .object(wanted))
            }
        }
    }

    @Test("what is no JSON as a whole is none in its rows or its rest", arguments: bodies)
    func malformed(_ body: String) throws {
        let bytes = Array(body.utf8)
        var count = 0
        for position in bytes.indices {
            for byte in Array("{}[],:\"\\ x".utf8) + [nil] {
                var broken = bytes
                if let byte { broken[position] = byte } else { broken.remove(at: position) }
                let isWhole = (try? JSON(parsing: broken)) != nil
                #expect((split(broken, piece: 3) != nil) == isWhole, "\(String(decoding: broken, as: UTF8.self))")
                count += isWhole ? 0 : 1
            }
        }
        #expect(count > 0)
    }
}
