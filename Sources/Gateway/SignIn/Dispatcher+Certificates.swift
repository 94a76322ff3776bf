import CouchDB
import CouchDocument
import FoundationEssentials
import GridCertificates
import TokenPool

// Signing in by a certificate, or a proxy of one.
extension Dispatcher {
    func certificate(_ call: GatewayCall, _ name: String) async throws -> GatewayAnswer {
        let identity = try await identity(call)
        let names = try await projects.database.server.user(name)?["x509"]
        let texts = names?.arrayValue?.compactMap(\.stringValue) ?? names?.stringValue.map { [$0] } ?? []
        guard texts.contains(where: { SubjectName($0) == identity.subject }) else {
            throw GatewayRefusal(401, "\(identity.subject) is no certificate of \(name)\n")
        }
        return granted(name, until: identity.validUntil.timeIntervalSince1970)
    }

    /// Whom the certificates of a connection stand for.
    func identity(_ call: GatewayCall) async throws -> GridIdentity {
        guard call.client.isSecure else { throw GatewayRefusal(401, "HTTPS scheme required\n") }
        guard let trust = signInSettings.trust else {
            throw GatewayRefusal(401, "This server takes no client certificates\n")
        }
        let chain = try await call.client.certificates()
        guard !chain.isEmpty else { throw GatewayRefusal(401, "No client certificate was shown\n") }
        let now = Date(timeIntervalSince1970: Double(projects.pool.clock.now().milliseconds) / 1000)
        do { return try await trust.verifier.identity(chain, now: now) } catch let refusal as CertificateRefusal {
            throw GatewayRefusal(401, "\(refusal)\n")
        }
    }
}
