import CouchDocument
import Synchronization

/// The settings at `_node/_local/_config`: sections of keys, all texts. What is written here is kept in a file.
package final class Settings: Sendable {
    package typealias Sections = [String: [String: String]]

    private struct State {
        var changed: Sections
    }
    /// What CouchDB says when nothing was set.
    private static let defaults: Sections = [
        "chttpd": ["bind_address": "127.0.0.1", "max_db_number_for_dbs_info_req": "100"],
        "chttpd_auth": ["timeout": String(SessionCookie.lifetime), "authentication_db": "_users"],
        "couchdb": ["default_security": "admin_only"],
        "vendor": ["name": "tokenpool"],
    ]
    /// Protects the settings and the order in which they are kept.
    private let state: Mutex<State>
    private let save: @Sendable (Sections) throws -> Void

    /// - Parameters:
    ///   - changed: What was set in earlier lives.
    ///   - save: Keeps all that was set; called with every change, one at a time.
    package init(changed: Sections = [:], save: @escaping @Sendable (Sections) throws -> Void = { _ in }) {
        state = Mutex(State(changed: changed))
        self.save = save
    }

    package subscript(section: String, key: String) -> String? {
        state.withLock { $0.changed[section]?[key] } ?? Self.defaults[section]?[key]
    }

    /// Sets or, with `nil`, takes back a setting and answers what it was before.
    package func set(_ section: String, _ key: String, to value: String?) throws -> String? {
        try state.withLock { state in
            let old = state.changed[section]?[key]
            var next = state.changed
            next[section, default: [:]][key] = value
            if next[section]?.isEmpty == true { next[section] = nil }
            try save(next)
            state.changed = next
            return old ?? Self.defaults[section]?[key]
        }
    }

    /// Everything, defaults included.
    package var all: Sections {
        state.withLock { $0.changed }.merging(Self.defaults) { own, fallback in
            own.merging(fallback) { own, _ in own }
        }
    }

    /// The largest document in bytes.
    var maximumDocumentSize: Int { self["couchdb", "max_document_size"].flatMap { Int($0) } ?? 8_000_000 }
    /// Whether `_users/_security` may be changed.
    var isUsersSecurityEditable: Bool { self["couchdb", "users_db_security_editable"] == "true" }
}
