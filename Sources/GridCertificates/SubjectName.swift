import SwiftASN1
import X509

/// The name of a certificate's owner, to be compared with names as people write them: `/DC=org/CN=Alice` (as OpenSSL and the
/// grid's software show it) or `CN=Alice,DC=org` (RFC 2253 and 4514).
///
/// Names are compared part by part, never as texts: what a value contains can not pretend to be another part.
package struct SubjectName: Hashable, Sendable, CustomStringConvertible {
    struct Attribute: Hashable, Sendable {
        /// A short name in capitals, or the number of one that has none.
        let type: String
        let value: String

        init(type: String, value: String) {
            self.type = Self.canonical(type)
            // Domains and addresses are the same in any case (RFC 4519 §2.4, RFC 5280 §7.5).
            self.value = ["DC", "EMAILADDRESS"].contains(self.type) ? value.lowercased() : value
        }

        private static func canonical(_ type: String) -> String {
            let upper = type.uppercased()
            return synonyms[upper] ?? upper
        }

        /// By number and by other names.
        private static let synonyms: [String: String] = [
            "2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "SERIALNUMBER", "2.5.4.6": "C", "2.5.4.7": "L",
            "2.5.4.8": "ST",
            "2.5.4.9": "STREET", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "TITLE", "2.5.4.42": "GN",
            "0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
            "1.2.840.113549.1.9.1": "EMAILADDRESS", "COMMONNAME": "CN", "SURNAME": "SN", "COUNTRYNAME": "C",
            "LOCALITYNAME": "L", "S": "ST", "STATEORPROVINCENAME": "ST", "STREETADDRESS": "STREET",
            "ORGANIZATIONNAME": "O", "ORGANIZATIONALUNITNAME": "OU", "T": "TITLE", "GIVENNAME": "GN", "USERID": "UID",
            "DOMAINCOMPONENT": "DC", "E": "EMAILADDRESS", "EMAIL": "EMAILADDRESS",
        ]
        static let names = Set(synonyms.values).union(synonyms.keys)
    }

    /// From the root down, as certificates have them. Mostly one attribute each.
    private let parts: [Set<Attribute>]

    init(_ name: DistinguishedName) {
        parts = name.map { part in
            Set(
                part.map { attribute in
                    let value = attribute.value
                    return Attribute(type: "\(attribute.type)", value: String(value) ?? "\(value)")
                })
        }
    }

    private init?(_ parts: [Set<Attribute>]) {
        guard !parts.isEmpty else { return nil }
        self.parts = parts
    }

    /// Reads a name in either form; `nil` when it is none.
    package init?(_ text: String) {
        if text.hasPrefix("/") { self.init(slashed: text) } else { self.init(commaSeparated: text) }
    }

    /// A slash begins a part only before the name of an attribute: `/CN=host/a.example.org` is one part.
    private init?(slashed text: String) {
        var parts: [(type: String, value: String)] = []
        for piece in text.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
            let halves = piece.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if halves.count == 2, Self.isType(halves[0]) {
                parts.append((String(halves[0]), String(halves[1])))
            } else if parts.isEmpty {
                return nil
            } else {
                parts[parts.count - 1].value += "/" + piece
            }
        }
        self.init(parts.map { [Attribute(type: $0.type, value: $0.value)] })
    }

    private static func isType(_ text: Substring) -> Bool {
        Attribute.names.contains(text.uppercased())
            || (text.contains(".") && text.allSatisfy { $0.isASCII && ($0.isNumber || $0 == ".") })
    }

    private init?(commaSeparated text: String) {
        var reader = NameReader(text)
        guard let parts = reader.parts() else { return nil }
        self.init(parts.reversed().map { Set($0.map { Attribute(type: $0.type, value: $0.value) }) })
    }

    /// Whether this is the other name and one common name more, as the name of a proxy is to that of its signer
    /// (RFC 3820 §3.4).
    func isExtended(from other: SubjectName) -> Bool {
        parts.count == other.parts.count + 1 && Array(parts.dropLast()) == other.parts && parts.last?.count == 1
            && parts.last?.first?.type == "CN"
    }

    /// As OpenSSL shows it in one line.
    package var description: String {
        parts.map { part in "/" + part.map { "\($0.type)=\($0.value)" }.sorted().joined(separator: "+") }.joined()
    }
}

/// Reads `CN=a\, b+UID=c,DC=org`.
private struct NameReader {
    private var rest: Substring

    init(_ text: String) { rest = text[...] }

    mutating func parts() -> [[(type: String, value: String)]]? {
        var parts: [[(type: String, value: String)]] = [[]]
        while true {
            skipBlanks()
            let type = rest.prefix { $0 != "=" && $0 != "," && $0 != "+" }
            rest = rest.dropFirst(type.count)
            guard rest.popFirst() == "=", let value = value() else { return nil }
            let name = type.reversed().drop { $0 == " " }.reversed()
            guard !name.isEmpty else { return nil }
            parts[parts.count - 1].append((String(name), value))
            switch rest.popFirst() {
            case nil: return parts
            case "+"?: break
            default: parts.append([])
            }
        }
    }

    private mutating func skipBlanks() { rest = rest.drop { $0 == " " } }

    private mutating func value() -> String? {
        skipBlanks()
        if rest.first == "\"" {
            rest = rest.dropFirst()
            guard let value = text(until: { $0 == "\"" }), rest.popFirst() == "\"" else { return nil }
            skipBlanks()
            return rest.isEmpty || ",;+".contains(rest[rest.startIndex]) ? value : nil
        }
        return text(until: { ",;+".contains($0) })
    }

    /// Blanks at the end that are not escaped do not belong to a value.
    private mutating func text(until isEnd: (Character) -> Bool) -> String? {
        var bytes: [UInt8] = []
        var kept = 0
        while let character = rest.first, !isEnd(character) {
            rest = rest.dropFirst()
            if character == "\\" {
                guard let escaped = rest.popFirst() else { return nil }
                if let high = escaped.hexDigitValue, let low = rest.first?.hexDigitValue {
                    rest = rest.dropFirst()
                    bytes.append(UInt8(high * 16 + low))
                } else {
                    bytes += Array(String(escaped).utf8)
                }
                kept = bytes.count
            } else {
                bytes += Array(String(character).utf8)
                if character != " " { kept = bytes.count }
            }
        }
        return String(validating: bytes[..<kept], as: UTF8.self)
    }
}
