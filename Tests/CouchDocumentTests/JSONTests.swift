import CouchDocument
import Testing

@Suite("JSON")
struct JSONTests {
    @Test(
        "text comes back byte for byte",
        arguments: [
            "null", "true", "false", "0", "-1", "9007199254740993", "-9223372036854775808", "9223372036854775807",
            "9223372036854775808", "12345678901234567890123456789", "1.0", "1.00", "0.1", "1e5", "1E+400", "-0.0",
            #""""#, #""ä € 😀 \"\\\n\r\t\b\f\u0001""#, "[]", "{}", #"[1,[2,[3]],{"a":[]}]"#,
            #"{"z":1,"a":2,"ä":{"":null}}"#,
        ])
    func roundTrip(text: String) throws {
        #expect(try JSON(parsing: text).description == text)
    }

    @Test("escapes, white space and surrogate pairs are read")
    func reads() throws {
        #expect(try JSON(parsing: " { \"a\" : [ 1 , 2 ] }\r\n\t").description == #"{"a":[1,2]}"#)
        #expect(try JSON(parsing: #""\u00e4\ud83d\ude00\/""#) == "ä😀/")
        #expect(try JSON(parsing: "-0") == 0)
    }

    @Test(
        "what is no JSON is refused with the place",
        arguments: [
            ("", 0), ("nul", 3), ("[1,]", 3), ("{\"a\":1,}", 7), ("{a:1}", 1), ("01", 1), ("1.", 2), (".5", 0),
            ("+1", 0),
            ("1e", 2), ("\"abc", 4), ("\"\n\"", 1), (#""\x""#, 3), (#""\ud800""#, 7), ("[1] x", 4), ("NaN", 0),
            ("'a'", 0),
            ("[", 1), ("{\"a\"", 4),
        ])
    func refuses(text: String, offset: Int) throws {
        let error = try #require(throws: JSONError.self) { try JSON(parsing: text) }
        #expect(error.offset == offset, "\(error)")
    }

    @Test(
        "invalid UTF-8 is refused",
        arguments: [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xE4]] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22] + bytes + [0x22]) }
        #expect(throws: JSONError.self) { try JSON(parsing: [0x22, 0x5C, 0x6E] + bytes + [0x22]) }
    }

    @Test("nesting has a limit, so no text can exhaust the stack")
    func depth() throws {
        let deep = String(repeating: "[", count: 1000) + String(repeating: "]", count: 1000)
        #expect(try JSON(parsing: deep).description == deep)
        #expect(throws: JSONError.self) { try JSON(parsing: "[" + deep + "]") }
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "[", count: 1_000_000)) }
    }

    @Test("of a repeated member the last stays, in its last place")
    func repeated() throws {
        #expect(try JSON(parsing: #"{"a":1,"b":2,"a":3}"#).description == #"{"b":2,"a":3}"#)
    }

    @Test("names are told apart by their bytes")
    func composedNames() throws {
        let text = "{\"\u{E9}\":1,\"e\u{301}\":2}"
        #expect(Array(try JSON(parsing: text).encoded()) == Array(text.utf8))
        var large = JSONObject((0..<30).map { ("k\($0)", JSON.integer($0)) })
        large["\u{E9}"] = 1
        large["e\u{301}"] = 2
        #expect(large.count == 32)
        #expect(large["\u{E9}"] == 1)
    }

    @Test("objects of any size keep order and find members")
    func largeObjects() throws {
        var object = JSONObject()
        for number in 0..<500 { object["k\(number)"] = .integer(number) }
        for number in stride(from: 0, to: 500, by: 3) { object["k\(number)"] = nil }
        object["k1"] = "changed"
        #expect(object["k1"] == "changed")
        #expect(object["k3"] == nil)
        #expect(object["k499"] == 499)
        #expect(object.names == (0..<500).filter { $0 % 3 != 0 }.map { "k\($0)" })
    }

    @Test(
        "fractions and exponents are written as CouchDB writes them",
        arguments: [
            ("1.0", "1.0"), ("1e5", "100000.0"), ("1E-7", "1e-7"), ("1.5e300", "1.5e+300"), ("-0.0", "0.0"),
            ("0.1", "0.1"),
            ("1e20", "100000000000000000000.0"), ("1e21", "1e+21"), ("0.000001", "0.000001"), ("1.25e-3", "0.00125"),
            ("123456.789", "123456.789"), ("-2.50", "-2.5"), ("12345678901234567890", "12345678901234567890"),
        ])
    func canonical(text: String, expected: String) throws {
        #expect(try JSON(parsing: text, numbers: .canonical).description == expected)
    }

    @Test("a number beyond a double is refused where CouchDB refuses it")
    func overflow() {
        #expect(throws: JSONError.self) { try JSON(parsing: "1e400", numbers: .canonical) }
    }

    @Test("random values survive writing and reading")
    func random() throws {
        var generator = SeededGenerator(seed: 42)
        for _ in 0..<500 {
            let value = randomValue(depth: 4, using: &generator)
            #expect(try JSON(parsing: value.encoded()) == value)
            #expect(try JSON(parsing: value.prettyPrinted()) == value)
        }
    }

    @Test("random bytes never crash the reader")
    func noise() {
        var generator = SeededGenerator(seed: 7)
        let alphabet = Array(#"{}[]",:\u0019eE+-. tfn"#.utf8) + [0x80, 0xC3, 0xFF, 0x0A]
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0..<24, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator) ?? 0
            }
            guard let value = try? JSON(parsing: bytes) else { continue }
            #expect((try? JSON(parsing: value.encoded())) == value)
        }
    }

    private func randomValue(depth: Int, using generator: inout SeededGenerator) -> JSON {
        switch Int.random(in: 0..<(depth > 0 ? 7 : 5), using: &generator) {
        case 0: return .null
        case 1: return .bool(.random(using: &generator))
        case 2: return .integer(.random(in: .min ... .max, using: &generator))
        case 3: return .double(Double(bitPattern: generator.next())) ?? .null
        case 4:
            let scalars = (0..<Int.random(in: 0..<12, using: &generator)).compactMap { _ in
                Unicode.Scalar(UInt32.random(in: 0..<0x11_0000, using: &generator))
            }
            return .string(String(String.UnicodeScalarView(scalars)))
        case 5:
            return .array(
                (0..<Int.random(in: 0..<6, using: &generator)).map { _ in
                    randomValue(depth: depth - 1, using: &generator)
                })
        default:
            var object = JSONObject()
            for _ in 0..<Int.random(in: 0..<6, using: &generator) {
                object["m\(UInt8.random(in: 0...50, using: &generator))"] = randomValue(
                    depth: depth - 1, using: &generator)
            }
            return .object(object)
        }
    }
}

/// SplitMix64: the same numbers for the same seed, on every machine.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
