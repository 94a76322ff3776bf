/// Where an LDAP server is, and who its users are.
package struct LDAPSettings: Sendable {
    /// Users are in a group when a search finds something.
    package struct Group: Sendable {
        /// Below this entry.
        package var base: String
        /// By this filter, in which `{user}` and `{dn}` stand for the name and its entry.
        package var filter: String

        package init(base: String, filter: String) {
            self.base = base
            self.filter = filter
        }

        func filter(name: String, dn: String) -> String {
            LDAPSettings.filled(
                filter, ["user": LDAPSettings.filterEscaped(name), "dn": LDAPSettings.filterEscaped(dn)])
        }
    }

    /// `ldaps://HOST` or `ldap://HOST`.
    package var url: String
    /// Whether an `ldap` connection is secured before anything is said.
    package var startsTLS: Bool
    /// The authorities to trust, PEM; `nil`: the system's.
    package var authorityFile: String?
    /// The entry of a user, in which `{user}` stands for the name.
    package var userDN: String
    /// For all of it: connection, sign-in, search. Whole seconds.
    package var timeLimit: Duration
    /// Who may come without being known in the pool.
    package var group: Group?

    package init(
        url: String, startsTLS: Bool, authorityFile: String? = nil, userDN: String, timeLimit: Duration = .seconds(10),
        group: Group? = nil
    ) {
        self.url = url
        self.startsTLS = startsTLS
        self.authorityFile = authorityFile
        self.userDN = userDN
        self.timeLimit = timeLimit
        self.group = group
    }

    /// The entry of that user.
    package func dn(of name: String) -> String { Self.filled(userDN, ["user": Self.dnEscaped(name)]) }

    /// Puts values in the places of `{name}`; what a value brings is not looked at again.
    private static func filled(_ template: String, _ values: [String: String]) -> String {
        var result = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            rest = rest[open...]
            guard let close = rest.firstIndex(of: "}"),
                let value = values[String(rest[rest.index(after: open)..<close])]
            else {
                result.append("{")
                rest = rest.dropFirst()
                continue
            }
            result += value
            rest = rest[rest.index(after: close)...]
        }
        return result + rest
    }

    /// A text as a value in a distinguished name (RFC 4514 §2.4): what has a meaning there is written in hexadecimal.
    package static func dnEscaped(_ text: String) -> String {
        let bytes = Array(text.utf8)
        return bytes.indices.map { index -> [UInt8] in
            let byte = bytes[index]
            let isEdge = index == 0 || index == bytes.count - 1
            let isSpecial =
                byte < 0x20 || byte == 0x7F || "\"+,;<>\\=/".utf8.contains(byte)
                || (isEdge && byte == UInt8(ascii: " ")) || (index == 0 && byte == UInt8(ascii: "#"))
            return isSpecial ? hexadecimal(byte) : [byte]
        }.joined().text
    }

    /// A text as a value in a filter (RFC 4515 §3).
    package static func filterEscaped(_ text: String) -> String {
        text.utf8.map { byte in
            byte < 0x20 || byte == 0x7F || "*()\\".utf8.contains(byte) ? hexadecimal(byte) : [byte]
        }.joined().text
    }

    private static func hexadecimal(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [UInt8(ascii: "\\"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}

extension Sequence<UInt8> {
    fileprivate var text: String { String(decoding: Array(self), as: UTF8.self) }
}
