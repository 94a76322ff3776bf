import CouchDocument
import TokenPool

// Storage elements.
extension Dispatcher {
    func listRSEs(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        return .json(.array(try await projects.rses().map { .object($0.json) }))
    }

    func showRSE(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        try await requireReader(call)
        let name = try RawQuery(call.query, ["name"]).required("name")
        guard let rse = try await projects.rse(name) else { throw Self.noRSE(name) }
        return .json(.object(rse.json))
    }

    func setAvailability(_ call: GatewayCall) async throws -> GatewayAnswer {
        try await requireAdmin(call)
        let query = try RawQuery(call.query, ["name", "available"], endingWith: "available")
        _ = try query.required("available")
        return try await change(
            try query.required("name"), ["is_available": .bool(try query.flag("available", default: true))])
    }

    func createRSE(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        try await requireAdmin(call)
        let body = try await call.object()
        let name = try Self.name(body["name"])
        var rse = RSE(name: name)
        // What nobody says is no: a storage element that is half described is not used.
        try rse.set(["is_enabled": false, "is_available": false])
        try rse.set(body)
        guard let made = try await projects.create(rse) else { throw GatewayRefusal(409, "Already exists") }
        desk.forgetSites()
        return .json(.object(made.json))
    }

    func updateRSE(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        try await requireAdmin(call)
        let body = try await call.object()
        let names = [
            ("Description", "description"), ("Enabled", "is_enabled"), ("Available", "is_available"),
            ("Tape", "is_tape"), ("PinURL", "pin_url"), ("PollURL", "poll_url"), ("RemovePrefix", "remove_prefix"),
            ("AddPrefix", "add_prefix"), ("PinPrefix", "pin_prefix"), ("Preference", "preference"),
            ("Type", "interface"),
        ]
        var values: JSONObject = [:]
        for (name, field) in names { values[field] = body[name] }
        return try await change(try Self.name(body["Name"]), values)
    }

    func deleteRSE(_ call: GatewayCall) async throws -> GatewayAnswer {
        try await requireAdmin(call)
        let name = try RawQuery(call.query, ["name"]).required("name")
        guard try await projects.delete(rse: name) else { throw Self.noRSE(name) }
        desk.forgetSites()
        return .json(.null)
    }

    private func change(_ name: String, _ values: JSONObject) async throws -> GatewayAnswer {
        guard let rse = try await projects.change(rse: name, values) else { throw Self.noRSE(name) }
        desk.forgetSites()
        return .json(.object(rse.json))
    }

    private func requireAdmin(_ call: GatewayCall) async throws {
        guard try await member(call).isAdmin else { throw GatewayRefusal(403, "Not authorized") }
    }

    private static func name(_ value: JSON?) throws(GatewayRefusal) -> String {
        guard let name = value?.stringValue, !name.isEmpty else { throw .badRequest("a name is wanted") }
        guard name.utf8.count <= longestName else { throw .badRequest("a name has at most \(longestName) bytes") }
        return name
    }

    private static let longestName = 500

    private static func noRSE(_ name: String) -> GatewayRefusal { GatewayRefusal(404, "RSE \(name) not found") }
}
