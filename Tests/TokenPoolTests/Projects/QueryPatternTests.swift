import Testing

@testable import TokenPool

@Suite("Regular expressions of the search language")
struct QueryPatternTests {
    private func matches(_ pattern: String, _ text: String, ignoresCase: Bool = false) throws -> Bool {
        try QueryPattern(pattern, ignoresCase: ignoresCase).matches(text, QueryEffort())
    }

    @Test(
        "describe a part of a text",
        arguments: [
            ("", "x"), ("b", "abc"), ("^abc$", "abc"), ("a.c", "a\nc"), ("a|b", "xb"), ("^(a|bc)$", "bc"), ("^a*$", ""),
            ("^a+$", "aa"), ("^ab?$", "a"), ("^a{2}$", "aa"), ("^a{2,}$", "aaaa"), ("^a{1,3}$", "aaa"),
            ("a{,3}", "a{,3}"),
            ("^a{0,1}b$", "b"), ("[abc]", "xc"), ("[^abc]", "d"), ("[]]", "]"), ("[^]]", "x"), ("[a-c]x", "bx"),
            ("[a-]", "-"), ("^[[:alpha:]]+$", "éa"), ("[[:digit:]_]", "_"), ("^\\d+$", "17"), ("\\.", "a.b"),
            ("^\\w+\\s\\S$", "a_1 x"), ("[\\d.]", "."), ("\\bb", "a b"), ("\\mb", "a b"), ("a\\M", "a b"),
            ("^()*a", "a"),
            ("(a*)*", "b"), ("(^a|b)c", "xbc"), ("a**", "a"), ("^.$", "é"), ("^(?:ab)+?$", "abab"), ("a|", "x"),
            ("^(a|b|c){2}$", "cb"), ("x$|^y", "y"),
        ])
    func holds(pattern: String, text: String) throws { #expect(try matches(pattern, text)) }

    @Test(
        "and nothing else",
        arguments: [
            ("b", "ac"), ("^b", "ab"), ("b$", "ba"), ("^a{2}$", "aaa"), ("^a{2,3}$", "aaaa"), ("^a{2,}$", "a"),
            ("[abc]", "d"), ("[^abc]", "abc"), ("\\d", "x"), ("\\D", "1"), ("\\.", "ab"), ("^(a|bc)$", "ac"),
            ("\\bb", "ab"),
            ("^a+$", ""), ("[a-c]", "-"), ("A", "a"), ("^(a|b|c){2}$", "cbb"), ("\\mb", "ab"),
        ])
    func misses(pattern: String, text: String) throws { #expect(try !matches(pattern, text)) }

    @Test("case is ignored where it is asked for")
    func cases() throws {
        #expect(try matches("^ÄbC[d-f]$", "äBcE", ignoresCase: true))
        #expect(try !matches("^[^a]$", "A", ignoresCase: true))
    }

    @Test(
        "what is none is refused",
        arguments: [
            "(", ")", "a)", "[", "[a", "[z-a]", "[[:odd:]]", "*a", "+", "a{3,1}", "a{1", "a{256}", "\\", "\\1",
            "(a)\\1",
            "\\q", "(?=a)", String(repeating: "(", count: 60), "(a{200}){200}", String(repeating: "a", count: 501),
        ])
    func refused(pattern: String) {
        #expect { try QueryPattern(pattern, ignoresCase: false) } throws: { ($0 as? PoolError)?.code == .badInput }
    }

    @Test("the work grows with text and expression, not with the ways through it; and it has an end")
    func effort() throws {
        let effort = QueryEffort()
        // 2^60 ways for who tries them one by one.
        let text = String(repeating: "a", count: 60)
        #expect(try !QueryPattern("^(a|a)*(a|a)*(a|a)*b$", ignoresCase: false).matches(text, effort))
        try effort.spend(99_900_000)
        #expect {
            try QueryPattern("(a|b)*c", ignoresCase: false).matches(String(repeating: "a", count: 100_000), effort)
        } throws: { ($0 as? PoolError)?.reason.contains("too long") ?? false }
    }
}
