import CouchDocument
import Testing

@testable import CouchDB

@Suite("Cutting a stream into rows")
struct StreamSplitterTests {
    private static let answer = """
        {"total_rows":3,"offset":0,"rows":[
        {"id":"a","key":"x]}\\"","value":{"n":[1,2,{}]}},
        {"id":"b","key":"\\\\","value":null} , 7,"s",true,[ ]
        ],"update_seq":"12-x"}

        """

    @Test("gives the same rows however the bytes are cut", arguments: [1, 2, 3, 7, 64, 10_000])
    func anyCut(size: Int) throws {
        var splitter = StreamSplitter(array: "rows")
        var rows: [JSON] = []
        let bytes = Array(Self.answer.utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try splitter.feed(Array(bytes[start..<min(start + size, bytes.count)])) { rows.append($0) }
        }
        try splitter.finish()
        let whole = try JSON(parsing: bytes)
        #expect(rows == whole["rows"]?.arrayValue)
        #expect(splitter.members["total_rows"] == 3)
        #expect(splitter.members["update_seq"] == "12-x")
    }

    @Test("takes an empty array with CouchDB's white space")
    func empty() throws {
        var splitter = StreamSplitter(array: "rows")
        try splitter.feed(Array("{\"total_rows\":0,\"offset\":0,\"rows\":[\n\n]}\n".utf8)) { _ in Issue.record("a row")
        }
        try splitter.finish()
    }

    @Test("splits values one after the other, with heartbeats between", arguments: [1, 5, 1000])
    func sequence(size: Int) throws {
        var splitter = StreamSplitter(array: nil)
        var values: [JSON] = []
        let bytes = Array("\n\n{\"seq\":1}\n{\"seq\":\"}\"}\n\n\n[3]\n".utf8)
        for start in stride(from: 0, to: bytes.count, by: size) {
            try splitter.feed(Array(bytes[start..<min(start + size, bytes.count)])) { values.append($0) }
        }
        try splitter.finish()
        #expect(values == [["seq": 1], ["seq": "}"], [3]])
    }

    @Test(
        "says that a text is incomplete wherever it is cut",
        arguments: ["{", "{\"rows\":[1,", "{\"rows\":[{\"a\":1}]", ""])
    func incomplete(text: String) throws {
        var splitter = StreamSplitter(array: "rows")
        try splitter.feed(Array(text.utf8)) { _ in }
        #expect(throws: StreamSplitter.Fault.self) { try splitter.finish() }
    }

    @Test(
        "refuses what is no such answer",
        arguments: [
            "[]", "{\"rows\":[1 2]}", "{\"rows\":[,]}", "{\"rows\":[1,]}", "{}", "{\"x\":1,}", "{\"rows\":[1]}]",
            "<html>",
        ])
    func malformed(text: String) {
        var splitter = StreamSplitter(array: "rows")
        #expect(throws: StreamSplitter.Fault.self) { try splitter.feed(Array(text.utf8)) { _ in } }
    }

    @Test("finds the error object that CouchDB appends to rows it has begun")
    func refusal() {
        var splitter = StreamSplitter(array: "rows")
        let text = "{\"total_rows\":2,\"rows\":[\n{\"id\":\"a\"}\n\n{\"error\":\"timeout\",\"reason\":\"too slow\"}\n"
        var reason: JSON?
        do throws(StreamSplitter.Fault) {
            try splitter.feed(Array(text.utf8)) { _ in }
        } catch {
            if case .refused(let fields) = error { reason = fields["reason"] }
        }
        #expect(reason == "too slow")
    }
}
