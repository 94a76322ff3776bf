import Testing

@testable import Gateway

@Suite("Queries as Data Dispatcher's clients send them")
struct RawQueryTests {
    private func release(_ text: String) throws -> RawQuery {
        try RawQuery(text[...], ["handle_id", "failed", "retry", "worker_id"], endingWith: "failed")
    }

    @Test(
        "a name keeps its ampersands, pluses and percents",
        arguments: [
            ("handle_id=13:ns:a+b&failed=no", "13:ns:a+b"), ("handle_id=13:ns:a&b&failed=no", "13:ns:a&b"),
            ("handle_id=13:ns:a%20b&failed=no", "13:ns:a b"), ("handle_id=13:ns:100%&failed=no", "13:ns:100%"),
            ("handle_id=13:ns:a&failed=yes&b&failed=no", "13:ns:a&failed=yes&b"),
            ("handle_id=13:ns:a&retry=x&failed=no&retry=no", "13:ns:a&retry=x"),
            ("handle_id=13:ns:%C3%BC%zz&failed=no", "13:ns:ü%zz"),
        ])
    func names(text: String, id: String) throws {
        let query = try release(text)
        #expect(query["handle_id"] == id)
        #expect(try query.flag("failed", default: true) == false)
    }

    @Test("what follows is read as it stands")
    func rest() throws {
        let query = try release("handle_id=1:a:b&failed=yes&retry=no&worker_id=w&1")
        #expect(try query.flag("retry", default: true) == false)
        #expect(query["worker_id"] == "w&1")
    }

    @Test("a missing parameter, another word than yes and no, and bytes that are no text are refused")
    func refused() throws {
        #expect(throws: GatewayRefusal.self) { try release("failed=no").required("handle_id") }
        #expect(throws: GatewayRefusal.self) { try release("handle_id=1&failed=perhaps").flag("failed", default: true) }
        #expect(throws: GatewayRefusal.self) { try release("handle_id=%ff&failed=no") }
    }
}
