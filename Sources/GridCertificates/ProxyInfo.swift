import SwiftASN1
import X509

/// What makes a certificate a proxy: the extension `proxyCertInfo` (RFC 3820 §3.8).
struct ProxyInfo: Sendable {
    /// What of its signer's rights a proxy has.
    enum Policy: Sendable {
        /// All.
        case all
        /// All but starting jobs, as the grid's software has it.
        case limited
        /// None: the proxy stands for itself.
        case none
        /// Something that is not understood here.
        case other(String)
    }

    static let identifier: ASN1ObjectIdentifier = [1, 3, 6, 1, 5, 5, 7, 1, 14]

    let policy: Policy
    /// How many proxies may follow; `nil`: any number.
    let pathLength: Int?

    /// `nil`: the certificate is no proxy.
    init?(_ certificate: Certificate) throws {
        guard let found = certificate.extensions.first(where: { $0.oid == Self.identifier }) else { return nil }
        // RFC 3820 §3.8: "This extension MUST be marked critical".
        guard found.critical else { throw CertificateRefusal("proxyCertInfo is not critical") }
        do {
            (policy, pathLength) = try DER.sequence(DER.parse(found.value), identifier: .sequence) { nodes in
                var length: Int?
                guard var node = nodes.next() else { throw CertificateRefusal("proxyCertInfo is empty") }
                if node.identifier == .integer {
                    length = try Int(derEncoded: node)
                    guard let next = nodes.next() else { throw CertificateRefusal("proxyCertInfo has no policy") }
                    node = next
                }
                let policy = try DER.sequence(node, identifier: .sequence) { nodes in
                    let language = try ASN1ObjectIdentifier(derEncoded: &nodes)
                    let text = nodes.next()
                    return try Policy(language, hasText: text != nil)
                }
                return (policy, length)
            }
        } catch let refusal as CertificateRefusal {
            throw refusal
        } catch {
            throw CertificateRefusal("proxyCertInfo can not be read")
        }
        if let pathLength, pathLength < 0 { throw CertificateRefusal("proxyCertInfo has a negative path length") }
    }
}

extension ProxyInfo.Policy {
    fileprivate init(_ language: ASN1ObjectIdentifier, hasText: Bool) throws {
        switch language {
        case [1, 3, 6, 1, 5, 5, 7, 21, 1]: self = .all
        case [1, 3, 6, 1, 5, 5, 7, 21, 2]: self = .none
        case [1, 3, 6, 1, 4, 1, 3536, 1, 1, 1, 9]: self = .limited
        default:
            self = .other("\(language)")
            return
        }
        // RFC 3820 §3.8.2: with these languages the policy field "MUST NOT be present".
        if hasText { throw CertificateRefusal("proxyCertInfo has a policy text where none may be") }
    }
}
