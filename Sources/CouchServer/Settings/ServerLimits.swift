import NIOCore

/// The settings at `_node/_local/_config` that have an effect, read once for every change of them.
struct ServerLimits: Sendable {
    /// A number that can be set: where it stands and what it is otherwise.
    struct Number: Sendable {
        let section: String
        let key: String
        let fallback: Int
        var least = 1

        /// What the settings say.
        func value(in sections: Settings.Sections) -> Int {
            sections[section]?[key].flatMap { ServerLimits.value($0, least) } ?? fallback
        }
    }

    private static let documentSizeKey = Number(section: "couchdb", key: "max_document_size", fallback: 8_000_000)
    private static let attachmentSizeKey = Number(section: "couchdb", key: "max_attachment_size", fallback: 1 << 40)
    private static let requestSizeKey = Number(section: "chttpd", key: "max_http_request_size", fallback: 4 << 30)
    private static let changesKey = Number(section: "chttpd", key: "changes_timeout", fallback: 60_000)
    private static let sessionKey = Number(section: "chttpd_auth", key: "timeout", fallback: 600)
    private static let thresholdKey = Number(section: "chttpd_auth_lockout", key: "threshold", fallback: 5)
    private static let lockoutKey = Number(section: "chttpd_auth_lockout", key: "max_lifetime", fallback: 300_000)
    private static let connectionsKey = Number(section: own, key: "max_connections", fallback: 10_000)
    private static let requestsKey = Number(section: own, key: "max_requests", fallback: 2048)
    private static let feedsKey = Number(section: own, key: "max_feeds", fallback: 8192)
    private static let bodyMemoryKey = Number(section: own, key: "max_body_memory", fallback: 512 << 20)
    private static let headKey = Number(section: own, key: "head_timeout", fallback: 60_000)
    private static let bodyKey = Number(section: own, key: "body_timeout", fallback: 60_000)
    private static let answerKey = Number(section: own, key: "answer_timeout", fallback: 120_000)

    /// The section of settings that CouchDB does not have.
    static let own = "tokenpoold"
    private static let numbers =
        [
            documentSizeKey, attachmentSizeKey, requestSizeKey, changesKey, sessionKey, thresholdKey, lockoutKey,
            connectionsKey, requestsKey, feedsKey, bodyMemoryKey, headKey, bodyKey, answerKey,
        ] + ReplicatorLimits.numbers

    /// The largest document in bytes.
    let documentSize: Int
    /// The largest attachment in bytes.
    let attachmentSize: Int
    /// The largest request in bytes.
    let requestSize: Int
    /// Milliseconds that a feed waits for a change at most, before it ends or gives a sign of life.
    let changesWait: Int
    /// Connections that are served at once.
    let connections: Int
    let workload: Workload.Limits
    let pace: ConnectionPace.Limits
    let lockout: Lockout.Rule
    let replicator: ReplicatorLimits
    /// Seconds that a session cookie lives.
    let session: Int
    /// Whether `_users/_security` may be changed.
    let isUsersSecurityEditable: Bool
    /// Whether everybody must sign in.
    let requiresUser: Bool
    /// Whether a new database is open to everybody.
    let isOpenByDefault: Bool

    init(_ sections: Settings.Sections) {
        func text(_ section: String, _ key: String) -> String? { sections[section]?[key] }
        func number(_ number: Number) -> Int { number.value(in: sections) }
        func time(_ key: Number) -> TimeAmount { .milliseconds(Int64(number(key))) }
        documentSize = number(Self.documentSizeKey)
        attachmentSize = number(Self.attachmentSizeKey)
        requestSize = number(Self.requestSizeKey)
        // A day: what a clock can wait for without overflow.
        changesWait = min(number(Self.changesKey), 86_400_000)
        connections = number(Self.connectionsKey)
        workload = Workload.Limits(
            requests: number(Self.requestsKey), feeds: number(Self.feedsKey), bodyBytes: number(Self.bodyMemoryKey))
        pace = ConnectionPace.Limits(head: time(Self.headKey), body: time(Self.bodyKey), answer: time(Self.answerKey))
        lockout = Lockout.Rule(
            isEnforced: (text("chttpd_auth_lockout", "mode") ?? "enforce") == "enforce",
            threshold: number(Self.thresholdKey), lifetime: number(Self.lockoutKey) / 1000)
        replicator = ReplicatorLimits(sections)
        session = number(Self.sessionKey)
        isUsersSecurityEditable = text("couchdb", "users_db_security_editable") == "true"
        requiresUser = text("chttpd", "require_valid_user") == "true"
        isOpenByDefault = text("couchdb", "default_security") == "everyone"
    }

    /// The defaults of the numbers, for those who ask for the settings.
    static var defaults: Settings.Sections {
        var sections: Settings.Sections = [:]
        for number in numbers { sections[number.section, default: [:]][number.key] = String(number.fallback) }
        return sections.merging(ReplicatorLimits.fractionDefaults) { $0.merging($1) { own, _ in own } }
    }

    /// A number that is large enough and that no sum or product of limits overflows with; CouchDB says `infinity` for none.
    private static func value(_ text: String, _ least: Int) -> Int? {
        if text == "infinity" { return 1 << 40 }
        guard let number = Int(text), number >= least else { return nil }
        return min(number, 1 << 40)
    }

    /// Why a setting can not be; `nil` when it can.
    static func fault(_ section: String, _ key: String, _ value: String) -> String? {
        if let fault = ReplicatorLimits.fault(section, key, value) { return fault }
        guard let number = numbers.first(where: { $0.section == section && $0.key == key }),
            Self.value(value, number.least) == nil
        else { return nil }
        return "\(section)/\(key) must be \(number.least > 0 ? "a positive integer" : "an integer, 0 or more")"
    }
}
