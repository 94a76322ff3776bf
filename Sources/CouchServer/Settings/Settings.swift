import CouchDocument
import Synchronization

/// The settings at `_node/_local/_config`: sections of keys, all texts. What is written here is kept in a file.
package final class Settings: Sendable {
    package typealias Sections = [String: [String: String]]

    private struct State {
        var changed: Sections { didSet { limits = ServerLimits(changed) } }
        var limits: ServerLimits
    }
    /// What is said when nothing was set.
    private static let defaults: Sections = merged(
        ServerLimits.defaults,
        [
            "chttpd": [
                "bind_address": "127.0.0.1", "max_db_number_for_dbs_info_req": "100", "require_valid_user": "false",
            ],
            "chttpd_auth": ["authentication_db": "_users"],
            "chttpd_auth_lockout": ["mode": "enforce"],
            "couchdb": ["default_security": "admin_only"],
            "vendor": ["name": "tokenpool"],
        ])

    private static func merged(_ sections: Sections, _ fallback: Sections) -> Sections {
        sections.merging(fallback) { own, fallback in own.merging(fallback) { own, _ in own } }
    }
    /// Protects the settings and the order in which they are kept.
    private let state: Mutex<State>
    private let save: @Sendable (Sections) throws -> Void

    /// - Parameters:
    ///   - changed: What was set in earlier lives.
    ///   - save: Keeps all that was set; called with every change, one at a time.
    package init(changed: Sections = [:], save: @escaping @Sendable (Sections) throws -> Void = { _ in }) {
        state = Mutex(State(changed: changed, limits: ServerLimits(changed)))
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
    package var all: Sections { Self.merged(state.withLock { $0.changed }, Self.defaults) }

    /// What was set in a section.
    func changed(_ section: String) -> [String: String] { state.withLock { $0.changed[section] ?? [:] } }

    /// What the settings mean.
    var limits: ServerLimits { state.withLock { $0.limits } }
}
