import CouchDocument
import GridData
import TestSupport
import Testing

@Suite("Streams of JSON values")
struct JSONRecordsTests {
    private func read(_ text: String, pieces size: Int) throws -> [JSON] {
        var records = JSONRecords()
        var values: [JSON] = []
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            try records.feed(Array(bytes.prefix(size))) { values.append($0) }
            bytes = bytes.dropFirst(size)
        }
        try records.finish()
        return values
    }

    @Test(
        "are read alike in each form and cut anywhere",
        arguments: [
            "{\"a\":\"x}]\\\"{\"}\n{\"a\":[1,{\"b\":[]}]}\n",
            "\u{1E}{\"a\":\"x}]\\\"{\"}\n\u{1E}{\"a\":[1,{\"b\":[]}]}\n",
            "[{\"a\":\"x}]\\\"{\"},{\"a\":[1,{\"b\":[]}]}]",
            " [ {\"a\":\"x}]\\\"{\"} ,\r\n {\"a\":[1,{\"b\":[]}]} ] \n",
        ])
    func forms(text: String) throws {
        for size in 1...text.utf8.count {
            #expect(try read(text, pieces: size) == [["a": "x}]\"{"], ["a": [1, ["b": []]]]])
        }
    }

    @Test("may be none", arguments: ["", "\n", "[]", " [ ] "])
    func none(text: String) throws { #expect(try read(text, pieces: 1) == []) }

    @Test(
        "are refused when they break off",
        arguments: ["{\"a\":1}\n{\"a\"", "[{\"a\":1}", "[{\"a\":1},", "[", "\u{1E}{"])
    func cut(text: String) {
        #expect(throws: JSONRecords.Fault.incomplete) { try read(text, pieces: 3) }
    }

    @Test(
        "are refused when they are something else",
        arguments: ["x", "{\"a\":1}x", "[{}]{}", "[{},]", "[{}{}]", "{\"a\":\u{1E}{}", "{\"a\":1]", "<html>", "{a:1}"])
    func malformed(text: String) {
        #expect(throws: JSONRecords.Fault.self) { try read(text, pieces: 2) }
    }
}
