import CouchDocument

/// What is to be said of a storage element; `nil` leaves it as it is.
package struct RSEChange: Sendable {
    package var description: String?
    package var isEnabled: Bool?
    package var isAvailable: Bool?
    package var isTape: Bool?
    package var preference: Int?
    package var addPrefix: String?
    package var removePrefix: String?
    package var interface: String?
    package var pinURL: String?
    package var pinPrefix: String?
    package var pollURL: String?

    package init() {}

    /// The members under the names of `create_rse` and of `update_rse`, which differ.
    private var members: [(created: String, updated: String, value: JSON)] {
        func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
        func flag(_ value: Bool?) -> JSON { value.map(JSON.bool) ?? .null }
        return [
            ("description", "Description", text(description)), ("is_enabled", "Enabled", flag(isEnabled)),
            ("is_available", "Available", flag(isAvailable)), ("is_tape", "Tape", flag(isTape)),
            ("pin_url", "PinURL", text(pinURL)), ("poll_url", "PollURL", text(pollURL)),
            ("remove_prefix", "RemovePrefix", text(removePrefix)), ("add_prefix", "AddPrefix", text(addPrefix)),
            ("pin_prefix", "PinPrefix", text(pinPrefix)),
            ("preference", "Preference", preference.map(JSON.integer) ?? .null),
            ("interface", "Type", text(interface)),
        ]
    }

    func creating(_ name: String) -> JSONObject {
        JSONObject([("name", .string(name))] + members.map { ($0.created, $0.value) })
    }

    func updating(_ name: String) -> JSONObject {
        JSONObject([("Name", .string(name))] + members.map { ($0.updated, $0.value) })
    }
}

// Storage elements.
extension DispatcherClient {
    package func rses() async throws -> [JSONObject] { try await getList("rses", []) }

    /// - Returns: `nil` when there is none.
    package func rse(_ name: String) async throws -> JSONObject? {
        do { return try await getObject("get_rse", [("name", name)], isSafe: true) } catch let error as DispatcherError
            where error.code == .notFound
        { return nil }
    }

    package func setRSE(_ name: String, isAvailable: Bool) async throws {
        _ = try await get("set_rse_availability", [("name", name), ("available", isAvailable ? "yes" : "no")])
    }

    /// - Throws: ``DispatcherError/Code/conflict`` when there is one of that name.
    package func createRSE(_ name: String, _ values: RSEChange) async throws -> JSONObject {
        try Self.object(try await post("create_rse", values.creating(name)), "POST /create_rse")
    }

    package func updateRSE(_ name: String, _ values: RSEChange) async throws -> JSONObject {
        try Self.object(try await post("update_rse", values.updating(name)), "POST /update_rse")
    }

    package func deleteRSE(_ name: String) async throws { _ = try await get("delete_rse", [("name", name)]) }
}
