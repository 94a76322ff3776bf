import CouchDB
import Synchronization
import TokenPool

/// Keeps a token of Rucio and renews it before it ends.
final class RucioSession: Sendable {
    private struct Known {
        var token: String
        var renewAt: ContinuousClock.Instant
    }

    private let settings: Rucio.Settings
    private let service: WebService
    /// Protects the token. Two that sign in at a time cost a request, no more.
    private let known = Mutex<Known?>(nil)
    /// So long before its end a token is renewed.
    private static let margin = Duration.seconds(300)

    init(_ settings: Rucio.Settings) throws {
        self.settings = settings
        var access = settings.access
        if let url = settings.authURL { access.url = url }
        service = try WebService(access, kind: "Rucio")
    }

    /// A token that counts for a while yet.
    func token() async throws -> String {
        if case .tokenFile(let file) = settings.signIn { return try SecretText.read(file) }
        if let known = known.withLock({ $0 }), known.renewAt > .now { return known.token }
        return try await renew()
    }

    /// Another token than that one, which was refused; `nil` when there is no other.
    func token(replacing old: String) async throws -> String? {
        if case .tokenFile(let file) = settings.signIn {
            let now = try SecretText.read(file)
            return now == old ? nil : now
        }
        known.withLock { if $0?.token == old { $0 = nil } }
        return try await token()
    }

    private func renew() async throws -> String {
        var headers = [("Accept", "application/octet-stream"), ("X-Rucio-AppID", "tokenpool")]
        if let account = settings.account { headers.append(("X-Rucio-Account", account)) }
        if let vo = settings.vo { headers.append(("X-Rucio-VO", vo)) }
        let path: String
        switch settings.signIn {
        case .password(let user, let file):
            headers += [("X-Rucio-Username", user), ("X-Rucio-Password", try SecretText.read(file))]
            path = "/auth/userpass"
        case .certificate, .tokenFile: path = "/auth/x509"
        }
        let answer = try await service.request("GET", path, headers: headers)
        guard answer.status == 200, let token = answer.headers["x-rucio-auth-token"], !token.isEmpty else {
            let accounts = answer.headers["x-rucio-auth-accounts"].map { ": name one of the accounts \($0)" } ?? ""
            throw GridError(.unauthorized, "\(service.name): GET \(path): the answer holds no token\(accounts)")
        }
        // Without an end, or with one that can not be read, it is asked for again after a while.
        let end = answer.headers["x-rucio-auth-token-expires"].flatMap(RucioDate.time)
        let left = end.map { $0 - SystemClock().now() } ?? .seconds(1800)
        let pause = max(left - Self.margin, min(left / 2, .seconds(60)))
        known.withLock { $0 = Known(token: token, renewAt: .now + max(pause, .zero)) }
        return token
    }
}

/// Rucio's dates.
enum RucioDate {
    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    /// Reads `Mon, 13 May 2013 10:23:03 UTC`.
    static func time(_ text: String) -> Timestamp? {
        let parts = text.split(separator: " ")
        guard parts.count >= 5, let day = Int(parts[1]), let month = months.firstIndex(of: String(parts[2])),
            let year = Int(parts[3])
        else { return nil }
        let clock = parts[4].split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3, (1...31).contains(day), (1970...9999).contains(year) else { return nil }
        return Timestamp(
            seconds: days(year, month + 1, day) * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2])
    }

    /// Days since 1970 of a date of the Gregorian calendar.
    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        // Years that begin in March have their leap day at the end.
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
