/// Who sends a request, as far as the connection tells.
package struct GatewayClient: Sendable {
    /// The address, without port.
    package let address: String
    /// Whether the connection is secured.
    package let isSecure: Bool
    /// The certificates that the client showed, its own first, in DER; not verified, but it has the key of the first.
    package let certificates: @Sendable () async throws -> [[UInt8]]
    /// Calls a function once the client has gone.
    package let whenGone: @Sendable (_ act: @escaping @Sendable () -> Void) -> Void

    package init(
        address: String, isSecure: Bool, certificates: @escaping @Sendable () async throws -> [[UInt8]],
        whenGone: @escaping @Sendable (_ act: @escaping @Sendable () -> Void) -> Void
    ) {
        self.address = address
        self.isSecure = isSecure
        self.certificates = certificates
        self.whenGone = whenGone
    }
}
