/// An answer that says no: a status and one line for people.
struct GatewayRefusal: Error, Sendable {
    let status: Int
    let reason: String

    init(_ status: Int, _ reason: String) {
        self.status = status
        self.reason = reason
    }

    static func badRequest(_ reason: String) -> GatewayRefusal { GatewayRefusal(400, reason) }
    /// Clients wait and try again after this.
    static func overload(_ reason: String) -> GatewayRefusal { GatewayRefusal(503, reason) }
}
