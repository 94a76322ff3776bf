import Crypto
import FoundationEssentials

/// The `AuthSession` cookie: who signed in and when, sealed with the server's secret and the user's salt, so that a new
/// password ends old sessions.
struct SessionCookie: Sendable {
    static let name = "AuthSession"
    let user: String
    /// Seconds since 1970.
    let issued: Int
    private let timeText: String
    private let seal: [UInt8]

    /// Reads a value.
    ///
    /// - Returns: `nil` for an empty value: that is nobody.
    /// - Throws: 400, as CouchDB does, when the value can not be taken apart.
    init?(_ value: String) throws(Refusal) {
        if value.isEmpty { return nil }
        let malformed = Refusal.badRequest("Malformed AuthSession cookie. Please clear your cookies.")
        var text = value.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }
        while text.count % 4 != 0 { text.append("=") }
        guard let data = Data(base64Encoded: String(text)) else { throw malformed }
        let parts = data.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let user = String(validating: parts[0], as: UTF8.self),
            let time = String(validating: parts[1], as: UTF8.self), let issued = Int(time, radix: 16),
            // Far beyond any clock, and no sum with it overflows.
            (0..<1 << 40).contains(issued)
        else { throw malformed }
        self.user = user
        self.issued = issued
        timeText = time
        seal = Array(parts[2])
    }

    /// Whether the seal is right and the life not over.
    func isValid(secret: String, salt: String, now: Int, lifetime: Int) -> Bool {
        now < issued + lifetime
            && PasswordHash.isEqual(seal, Self.seal("\(user):\(timeText)", secret: secret, salt: salt))
    }

    /// Whether so much of the life has passed that the client gets a new one.
    func isAging(now: Int, lifetime: Int) -> Bool { now - issued > lifetime / 10 }

    private static func seal(_ text: String, secret: String, salt: String) -> [UInt8] {
        let key = SymmetricKey(data: Array((secret + salt).utf8))
        return Array(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
    }

    /// The header that begins a session.
    ///
    /// - Parameter lifetime: Seconds; `chttpd_auth/timeout`.
    static func header(user: String, secret: String, salt: String, now: Int, lifetime: Int) -> String {
        let text = "\(user):" + String(now, radix: 16, uppercase: true)
        let value = Data(Array(text.utf8) + [UInt8(ascii: ":")] + seal(text, secret: secret, salt: salt))
            .base64EncodedString().compactMap { $0 == "+" ? "-" : $0 == "/" ? "_" : $0 == "=" ? nil : $0 }
        return "\(name)=\(String(value)); Version=1; Expires=\(HTTPDate.text(now + lifetime)); Max-Age=\(lifetime);"
            + " Path=/; HttpOnly"
    }

    /// The header that ends a session.
    static let emptyHeader = "\(name)=; Version=1; Path=/; HttpOnly"
}

/// Dates as HTTP writes them.
enum HTTPDate {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func text(_ seconds: Int) -> String {
        let days = Int((Double(seconds) / 86400).rounded(.down))
        let rest = seconds - days * 86400
        // Days to year, month and day by Howard Hinnant's civil_from_days.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][((days % 7) + 7) % 7]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(weekday), \(two(day)) \(months[month - 1]) \(year)"
            + " \(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60)) GMT"
    }
}
