import CouchDocument
import TestSupport
import Testing

/// JSON text as CouchDB keeps it, made at random without the writer under test.
private struct RandomText {
    var random: SeededRandom

    init(seed: Int) { random = SeededRandom(seed: UInt64(seed)) }

    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func value(depth: Int) -> String {
        switch number(0...(depth > 0 ? 9 : 7)) {
        case 0: return "null"
        case 1: return number(0...1) == 0 ? "true" : "false"
        case 2: return String(Int.random(in: .min ... .max, using: &random) >> number(0...63))
        // Beyond 64 bits.
        case 3: return (number(0...1) == 0 ? "" : "-") + digits(count: number(20...60))
        case 4: return fraction()
        case 5...7: return string()
        case 8: return "[" + (0..<number(0...5)).map { _ in value(depth: depth - 1) }.joined(separator: ",") + "]"
        default: return object(depth: depth - 1)
        }
    }

    private mutating func digits(count: Int) -> String {
        String(number(1...9)) + (1..<count).map { _ in String(number(0...9)) }.joined()
    }

    /// Few enough digits to be the shortest of their double, in the notation that CouchDB chooses.
    private mutating func fraction() -> String {
        let sign = number(0...1) == 0 ? "" : "-"
        let last = String(number(1...9))
        switch number(0...3) {
        case 0: return sign + "0." + digits(count: number(1...12)) + last
        case 1: return sign + digits(count: number(1...7)) + "." + digits(count: number(1...6)) + last
        case 2: return sign + digits(count: number(1...15)) + ".0"
        default:
            return sign + String(number(1...9)) + "." + last + "e" + (number(0...1) == 0 ? "-" : "+")
                + String(number(22...300))
        }
    }

    mutating func string() -> String {
        let scalars = (0..<number(0...12)).map { _ -> String in
            switch number(0...7) {
            case 0: return ["\\\"", "\\\\", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u001F"][number(0...8)]
            case 1:
                return ["/", "\u{7F}", "\u{2028}", "é", "e\u{301}", "\u{FFFF}", "\u{10FFFF}", "\u{FEFF}"][number(0...7)]
            case 2:
                let code = UInt32(number(0x80...0x1_FFFF))
                return Unicode.Scalar(code).map { String($0) } ?? "x"
            default: return String(Unicode.Scalar(UInt8(number(0x61...0x7A))))
            }
        }
        return "\"" + scalars.joined() + "\""
    }

    mutating func object(depth: Int) -> String {
        var names: [String] = []
        for _ in 0..<number(0...(number(0...9) == 0 ? 40 : 6)) {
            let name = string()
            if !names.contains(where: { $0.utf8.elementsEqual(name.utf8) }) { names.append(name) }
        }
        return "{" + names.map { $0 + ":" + value(depth: depth) }.joined(separator: ",") + "}"
    }
}

@Suite("Random JSON")
struct RandomJSONTests {
    @Test("text as CouchDB keeps it comes back byte for byte", arguments: 0..<400)
    func survives(seed: Int) throws {
        var text = RandomText(seed: seed)
        let written = text.object(depth: 5)
        for numbers in [JSONNumberPolicy.verbatim, .canonical] {
            let value = try JSON(parsing: written, numbers: numbers)
            #expect(value.encoded().elementsEqual(written.utf8), "\(written)")
            #expect(try JSON(parsing: value.prettyPrinted(), numbers: numbers) == value)
        }
    }

    @Test("what is cut or changed anywhere is refused or read as something that is written again", arguments: 0..<200)
    func damaged(seed: Int) throws {
        var text = RandomText(seed: seed)
        let written = Array(text.object(depth: 4).utf8)
        for _ in 0..<20 {
            var bytes = written
            let place = Int.random(in: 0..<bytes.count, using: &text.random)
            if Bool.random(using: &text.random) {
                bytes.removeSubrange(place...)
            } else {
                bytes[place] = UInt8.random(in: 0...255, using: &text.random)
            }
            guard let value = try? JSON(parsing: bytes) else { continue }
            #expect(try JSON(parsing: value.encoded()) == value)
        }
    }

    @Test("an equal body has an equal revision, and every change of it another", arguments: 0..<100)
    func revisions(seed: Int) throws {
        var text = RandomText(seed: seed)
        let body = try #require(try JSON(parsing: text.object(depth: 3), numbers: .canonical).objectValue)
        let again = try #require(try JSON(parsing: body.description, numbers: .canonical).objectValue)
        let parent = Revision(editing: nil, isDeleted: false, body: body)
        #expect(parent == Revision(editing: nil, isDeleted: false, body: again))
        var changed = body
        changed["one more"] = 1
        let others = [
            Revision(editing: nil, isDeleted: false, body: changed),
            Revision(editing: nil, isDeleted: true, body: body),
            Revision(editing: parent, isDeleted: false, body: body),
        ]
        #expect(Set(others + [parent]).count == 4)
    }

    @Test(
        "integers of any length hash as their binary form, whatever way they were turned into it",
        arguments: [18, 19, 20, 36, 37, 100, 2000])
    func longIntegers(count: Int) throws {
        // A one and zeros: the byte form is that of a power of ten, built here digit by digit.
        var bytes: [UInt8] = [1]
        for _ in 1..<count {
            var carry = 0
            for index in bytes.indices {
                carry += Int(bytes[index]) * 10
                bytes[index] = UInt8(carry & 255)
                carry >>= 8
            }
            if carry > 0 { bytes.append(UInt8(carry)) }
        }
        let power = "1" + String(repeating: "0", count: count - 1)
        let body = try #require(try JSON(parsing: "{\"n\":\(power)}").objectValue)
        #expect(
            Revision(editing: nil, isDeleted: false, body: body).hash
                == ExternalTerm.hash(ofMember: "n", integer: bytes))
    }

    @Test("a number of very many digits is refused, not worked on")
    func endlessNumber() {
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: "7", count: 1_000_000)) }
        #expect(throws: JSONError.self) { try JSON(parsing: "0." + String(repeating: "7", count: 1_000_000)) }
    }

    @Test("of names that are repeated in a large object the last stay, in their last places")
    func repeatedInLarge() throws {
        let names = (0..<100).map { "\"n\($0)\":\($0)" }
        let rest = (0..<100).reversed().map { "\"n\($0)\":true" }
        let text = "{" + (names + rest).joined(separator: ",") + "}"
        #expect(try JSON(parsing: text).description == "{" + rest.joined(separator: ",") + "}")
        let kept = "{\"x\":0,\"n5\":1}"
        let many = "{\"n5\":0,\"x\":0" + String(repeating: ",\"n5\":1", count: 200) + "}"
        #expect(try JSON(parsing: many).description == kept)
    }
}
