import CouchDocument
import Testing

@testable import CouchStore

@Suite("Collation of view keys")
struct ViewsCollationTests {
    /// The order that Apache CouchDB 3.5.0 gave (recording views_collation, "the whole table" and "numbers").
    static let recorded = #"""
        [null, false, true, -9007199254740992, -10000000000, -5, -2, -1, -1e-07, 0, 1e-07, 0.5, 1, 1.25, 1.5, 2, 3, 4, 10,
        99.99, 100, 2147483648, 10000000000, 9007199254740992, 1e+300,
        "", "\t", " ", "_", "-", ",", ";", ":", "!", "?", ".", "'", "(", ")", "[", "]", "{", "}", "@", "*", "/", "\\",
        "&", "#", "%", "`", "^", "+", "<", "=", ">", "|", "~", "🐛", "$", "0", "1", "10", "2", "9", "a", "A", "á", "Á",
        "ä", "aa", "AA", "ab", "aB", "Ab", "b", "B", "ba", "bb", "c", "ç", "Ca", "e", "é", "n", "ñ", "o", "ö", "ss", "ß",
        "z", "Z", "α", "б", "あ", "日", "\ufff0", [], [null], [1], ["a"], ["b"], ["b", "c"], ["b", "c", "a"], ["b", "d"],
        ["b", "d", "e"], [[]], [{}], {}, {"a": 1}, {"a": 2}, {"a": [1]}, {"A": 1}, {"aa": 1}, {"b": 1}, {"b": 2},
        {"b": 2, "a": 1}, {"b": 2, "c": 2}]
        """#

    @Test("keys have the order that CouchDB recorded")
    func recordedOrder() throws {
        let values = try #require(try JSON(parsing: Self.recorded).arrayValue)
        let keys = values.map { CollationKey.bytes(for: $0) }
        for index in keys.indices.dropLast() {
            #expect(keys[index].lexicographicallyPrecedes(keys[index + 1]), "\(values[index]) < \(values[index + 1])")
        }
    }

    @Test("values that CouchDB takes for equal have equal keys")
    func equality() throws {
        for (left, right) in [("1", "1.0"), ("0", "-0.0"), ("100", "1e2"), ("[1,{\"a\":2}]", "[1.0, {\"a\": 2.0}]")] {
            let first = CollationKey.bytes(for: try JSON(parsing: left))
            #expect(first == CollationKey.bytes(for: try JSON(parsing: right)), "\(left) = \(right)")
        }
        #expect(CollationKey.bytes(for: "a\u{301}") == CollationKey.bytes(for: "á"))
        #expect(CollationKey.bytes(for: "a") != CollationKey.bytes(for: "A"))
    }

    @Test("no key is the beginning of another, so that document ids can follow")
    func prefixFree() throws {
        let values = try #require(try JSON(parsing: Self.recorded).arrayValue)
        for order in [CollationKey.Order.unicode, .raw] {
            let keys = values.map { CollationKey.bytes(for: $0, order: order) }
            for (index, key) in keys.enumerated() {
                for (other, longer) in keys.enumerated() where other != index {
                    #expect(!longer.starts(with: key), "\(values[index]) begins \(values[other])")
                }
            }
        }
    }

    @Test("raw order is numbers, false, null, true, objects, arrays, then strings by their bytes")
    func raw() throws {
        let text =
            #"[-2, 0, 10, false, null, true, {}, {"A": 1}, {"a": 1}, [], [1], [1, 2], [2], ["a"], "", "A", "B", "a", "a\u0000", "aa", "ä"]"#
        let values = try #require(try JSON(parsing: text).arrayValue)
        let keys = values.map { CollationKey.bytes(for: $0, order: .raw) }
        for index in keys.indices.dropLast() {
            #expect(keys[index].lexicographicallyPrecedes(keys[index + 1]), "\(values[index]) < \(values[index + 1])")
        }
    }

    @Test("arrays that agree in their first elements share a group prefix; shorter ones and other values have none")
    func groups() throws {
        func prefix(_ text: String, _ level: Int, _ order: CollationKey.Order) throws -> [UInt8]? {
            let key = CollationKey.bytes(for: try JSON(parsing: text), order: order)
            return CollationKey.groupPrefix(of: key[...], level: level, order: order).map(Array.init)
        }
        for order in [CollationKey.Order.unicode, .raw] {
            let first = try prefix(#"["a", {"x": [1]}, "x"]"#, 2, order)
            #expect(first != nil)
            #expect(try prefix(#"["a", {"x": [1]}, "y", 3]"#, 2, order) == first)
            #expect(try prefix(#"["a", {"x": [2]}, "x"]"#, 2, order) != first)
            #expect(try prefix(#"["a", {"x": [1]}]"#, 2, order) == first)
            #expect(try prefix(#"["a"]"#, 2, order) == nil)
            #expect(try prefix(#""a""#, 1, order) == nil)
        }
    }
}
