import FoundationEssentials
import SwiftASN1
import X509

/// Who a chain of certificates stands for.
package struct GridIdentity: Sendable {
    /// The person's own name, also when a proxy was shown.
    package let subject: SubjectName
    /// How many proxies stand between the person and who shows them.
    package let proxyCount: Int
    /// The end of the first that ends.
    package let validUntil: Date
}

/// Why a chain is not accepted, in one line.
package struct CertificateRefusal: Error, Sendable, CustomStringConvertible {
    package let description: String

    init(_ reason: String) { description = reason }
}

/// Verifies what a client showed in the TLS handshake, which proved that it has the first certificate's key.
///
/// Authorities and the person's certificate are verified by RFC 5280, proxies before them by RFC 3820 §3 and §4, which
/// TLS libraries do not do any more.
package struct CertificateVerifier: Sendable {
    private let authorities: TrustedAuthorities
    /// Certificates of one chain; each costs a signature or more.
    private static let longest = 20

    package init(_ authorities: TrustedAuthorities) { self.authorities = authorities }

    /// Verifies a chain.
    ///
    /// - Parameter chain: In DER; the client's own first, the others in any order.
    /// - Throws: ``CertificateRefusal``.
    package func identity(_ chain: [[UInt8]], now: Date) async throws -> GridIdentity {
        guard chain.count <= Self.longest else { throw CertificateRefusal("the chain is too long") }
        let certificates: [Certificate]
        do { certificates = try chain.map { try Certificate(derEncoded: $0) } } catch {
            throw CertificateRefusal("a certificate can not be read")
        }
        guard var tip = certificates.first else { throw CertificateRefusal("there is no certificate") }
        var end = tip.notValidAfter
        var proxies: [Certificate] = []
        var isFull = false
        while let info = try ProxyInfo(tip) {
            let signer = try Self.signer(of: tip, among: certificates)
            try Self.check(proxy: tip, info: info, signer: signer, proxiesBelow: proxies.count, now: now)
            switch info.policy {
            case .all: isFull = true
            case .limited:
                // What was given on was less: it can not have become more.
                if isFull { throw CertificateRefusal("a limited proxy signed a full one") }
            case .none: throw CertificateRefusal("the proxy has none of its signer's rights (independent)")
            case .other(let language): throw CertificateRefusal("the proxy's policy \(language) is not understood")
            }
            proxies.append(tip)
            guard proxies.count < certificates.count else { throw CertificateRefusal("the proxies sign each other") }
            tip = signer
            end = min(end, tip.notValidAfter)
        }
        let others = certificates.filter { $0 != tip && !proxies.contains($0) }
        let path = try await trustedPath(to: tip, by: others)
        for certificate in path { end = min(end, certificate.notValidAfter) }
        return GridIdentity(subject: SubjectName(tip.subject), proxyCount: proxies.count, validUntil: end)
    }

    private static func signer(of proxy: Certificate, among certificates: [Certificate]) throws -> Certificate {
        let named = certificates.filter { $0 != proxy && $0.subject == proxy.issuer }
        guard !named.isEmpty else { throw CertificateRefusal("the signer of the proxy was not sent along") }
        guard let signer = named.first(where: { $0.publicKey.isValidSignature(proxy.signature, for: proxy) }) else {
            throw CertificateRefusal("the proxy was signed with another key than its signer's")
        }
        return signer
    }

    /// The rules of RFC 3820 §3, by their paragraphs, for a proxy whose signature is right.
    private static func check(
        proxy: Certificate, info: ProxyInfo, signer: Certificate, proxiesBelow: Int, now: Date
    ) throws {
        guard proxy.version == .v3 else { throw CertificateRefusal("the proxy is no certificate of version 3") }
        guard proxy.notValidBefore <= now, now <= proxy.notValidAfter else {
            throw CertificateRefusal(
                proxy.notValidBefore > now ? "the proxy is not valid yet" : "the proxy has expired")
        }
        // 3.1: the signer is a person's certificate or a proxy, and may sign.
        guard try !isAuthority(signer) else { throw CertificateRefusal("an authority signed the proxy") }
        if let usage = try usage(of: signer), !usage.digitalSignature {
            throw CertificateRefusal("the signer of the proxy may not sign")
        }
        // 3.4: its name is the signer's and one common name.
        guard SubjectName(proxy.subject).isExtended(from: SubjectName(signer.subject)) else {
            throw CertificateRefusal("the proxy's name is not its signer's with one CN more")
        }
        // 3.2, 3.5: no other names.
        let alternatives: [ASN1ObjectIdentifier] = [[2, 5, 29, 17], [2, 5, 29, 18]]
        if proxy.extensions.contains(where: { alternatives.contains($0.oid) }) {
            throw CertificateRefusal("the proxy has alternative names")
        }
        // 3.7: it is no authority, and (RFC 5280 §4.2.1.3) signs no certificates as one.
        if try isAuthority(proxy) { throw CertificateRefusal("the proxy says to be an authority") }
        if let usage = try usage(of: proxy), usage.keyCertSign || usage.nonRepudiation {
            throw CertificateRefusal("the proxy may do more than a proxy may")
        }
        // 3.8.1.
        if let most = info.pathLength, proxiesBelow > most {
            throw CertificateRefusal("the proxy may not sign so many proxies")
        }
        let understood: Set<ASN1ObjectIdentifier> = [
            ProxyInfo.identifier, .X509ExtensionID.keyUsage, .X509ExtensionID.basicConstraints,
            .X509ExtensionID.extendedKeyUsage,
        ]
        if let unknown = proxy.extensions.first(where: { $0.critical && !understood.contains($0.oid) }) {
            throw CertificateRefusal("the proxy has a critical extension that is not understood: \(unknown.oid)")
        }
        try checkPurpose(of: proxy)
    }

    private static func isAuthority(_ certificate: Certificate) throws -> Bool {
        do {
            if case .isCertificateAuthority? = try certificate.extensions.basicConstraints { return true }
            return false
        } catch { throw CertificateRefusal("basicConstraints can not be read") }
    }

    private static func usage(of certificate: Certificate) throws -> KeyUsage? {
        do { return try certificate.extensions.keyUsage } catch { throw CertificateRefusal("keyUsage can not be read") }
    }

    /// Where purposes are told, being a client is one of them.
    private static func checkPurpose(of certificate: Certificate) throws {
        let purposes: ExtendedKeyUsage?
        do { purposes = try certificate.extensions.extendedKeyUsage } catch {
            throw CertificateRefusal("extendedKeyUsage can not be read")
        }
        if let purposes, !purposes.contains(.clientAuth), !purposes.contains(.any) {
            throw CertificateRefusal("the certificate is not for clients")
        }
    }

    /// The way from the person's certificate to a trusted authority.
    private func trustedPath(to leaf: Certificate, by others: [Certificate]) async throws -> [Certificate] {
        if try Self.isAuthority(leaf) { throw CertificateRefusal("the certificate is that of an authority") }
        try Self.checkPurpose(of: leaf)
        var verifier = Verifier(rootCertificates: CertificateStore(authorities.roots)) { PersonPolicy() }
        let store = CertificateStore(authorities.intermediates + others)
        switch await verifier.validate(leaf: leaf, intermediates: store) {
        case .validCertificate(let path):
            let path = Array(path)
            for (certificate, signer) in zip(path, path.dropFirst()) {
                if let usage = try Self.usage(of: signer), !usage.keyCertSign {
                    throw CertificateRefusal("the signer of \(SubjectName(certificate.subject)) is no authority")
                }
                try authorities.checkRevocation(of: certificate, by: signer)
            }
            return path
        case .couldNotValidate(let failures):
            if let failure = failures.first {
                throw CertificateRefusal("the certificate is not valid: \(failure.policyFailureReason)")
            }
            throw CertificateRefusal("no trusted authority signed the certificate of \(SubjectName(leaf.subject))")
        }
    }
}

/// RFC 5280, and purposes, which are looked at apart.
private struct PersonPolicy: VerifierPolicy {
    private let basic = RFC5280Policy()
    var verifyingCriticalExtensions: [ASN1ObjectIdentifier] {
        basic.verifyingCriticalExtensions + [.X509ExtensionID.extendedKeyUsage]
    }

    func chainMeetsPolicyRequirements(chain: UnverifiedCertificateChain) -> PolicyEvaluationResult {
        basic.chainMeetsPolicyRequirements(chain: chain)
    }
}
