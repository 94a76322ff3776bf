import FoundationEssentials
import SwiftASN1
import X509

/// The authorities whose certificates are taken: of a PEM file, or of a folder such as `/etc/grid-security/certificates`.
package struct TrustedAuthorities: Sendable {
    let roots: [Certificate]
    let intermediates: [Certificate]
    private let revocations: [RevocationList]
    /// Files of the folder that could not be read, a line each.
    package let faults: [String]

    /// Why there are no authorities, in one line.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Reads a file, or all files of a folder whose names end like those of certificates (`.pem`, `.crt`, `.0` …) and
    /// revocation lists (`.r0` …).
    ///
    /// - Throws: ``Fault`` when no authority is found; a file of a folder that is no certificate is only told.
    package init(path: String) throws {
        var certificates: Set<Certificate> = []
        var lists: [RevocationList] = []
        var faults: [String] = []
        var isFolder = false
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: path).sorted().filter(Self.isWanted)
                .map { "\(path)/\($0)" }
            isFolder = true
        } catch {
            // A file, or nothing, which its reading tells.
            names = [path]
        }
        for name in names {
            do {
                let documents = try Self.documents(name)
                for document in documents {
                    switch document.discriminator {
                    case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
                        certificates.insert(try Certificate(derEncoded: document.derBytes))
                    case "X509 CRL": lists.append(try RevocationList(der: document.derBytes))
                    default: break
                    }
                }
            } catch {
                if !isFolder { throw Fault(description: "\(name) can not be read as certificates: \(error)") }
                faults.append("\(name) can not be read: \(error)")
            }
        }
        roots = certificates.filter { $0.subject == $0.issuer }
        intermediates = certificates.filter { $0.subject != $0.issuer }
        revocations = lists
        self.faults = faults
        if roots.isEmpty { throw Fault(description: "\(path) has no certificate of an authority") }
    }

    private static func isWanted(_ name: String) -> Bool {
        guard let dot = name.lastIndex(of: "."), !name.hasPrefix(".") else { return false }
        let end = name[name.index(after: dot)...]
        // OpenSSL's hashed folders: `1a2b3c4d.0` certificates, `1a2b3c4d.r0` revocation lists.
        let number = end.hasPrefix("r") ? end.dropFirst() : end
        return ["pem", "crt", "cer", "crl"].contains(end) || !number.isEmpty && number.allSatisfy(\.isNumber)
    }

    private static func documents(_ name: String) throws -> [PEMDocument] {
        let data = try Data(contentsOf: URL(filePath: name))
        guard let text = String(validating: data, as: UTF8.self), text.contains("-----BEGIN") else {
            // DER: one certificate or list.
            let bytes = Array(data)
            let isList = (try? RevocationList(der: bytes)) != nil
            return [PEMDocument(type: isList ? "X509 CRL" : "CERTIFICATE", derBytes: bytes)]
        }
        return try PEMDocument.parseMultiple(pemString: text)
    }

    /// Refuses a certificate that its signer has taken back.
    func checkRevocation(of certificate: Certificate, by signer: Certificate) throws {
        for list in revocations where list.issuer == signer.subject && list.isSigned(by: signer) {
            if list.serialNumbers.contains(certificate.serialNumber) {
                throw CertificateRefusal("the certificate of \(SubjectName(certificate.subject)) was revoked")
            }
        }
    }
}

/// Certificates that an authority has taken back (RFC 5280 §5). One that is out of date still counts for what it names.
struct RevocationList: Sendable {
    let issuer: DistinguishedName
    let serialNumbers: Set<Certificate.SerialNumber>
    private let signed: [UInt8]
    private let algorithm: ASN1ObjectIdentifier
    private let signature: [UInt8]

    init(der: [UInt8]) throws {
        (issuer, serialNumbers, signed, algorithm, signature) = try DER.sequence(DER.parse(der), identifier: .sequence)
        {
            nodes in
            guard let list = nodes.next(), let kind = nodes.next() else { throw CertificateRefusal("it is cut off") }
            let algorithm = try DER.sequence(kind, identifier: .sequence) { nodes in
                let algorithm = try ASN1ObjectIdentifier(derEncoded: &nodes)
                _ = nodes.next()
                return algorithm
            }
            let signature = try ASN1BitString(derEncoded: &nodes)
            let (issuer, numbers) = try Self.content(list)
            return (issuer, numbers, Array(list.encodedBytes), algorithm, Array(signature.bytes))
        }
    }

    private static func content(_ list: ASN1Node) throws -> (DistinguishedName, Set<Certificate.SerialNumber>) {
        try DER.sequence(list, identifier: .sequence) { nodes in
            var rest: [ASN1Node] = []
            while let node = nodes.next() { rest.append(node) }
            var next = rest[...]
            if next.first?.identifier == .integer { next = next.dropFirst() }
            guard next.count >= 3 else { throw CertificateRefusal("it is cut off") }
            let issuer = try DistinguishedName(derEncoded: next[next.startIndex + 1])
            // Behind the algorithm, the issuer and one or two times.
            next = next.dropFirst(3)
            if let node = next.first, [.utcTime, .generalizedTime].contains(node.identifier) {
                next = next.dropFirst()
            }
            var numbers: Set<Certificate.SerialNumber> = []
            if let node = next.first, node.identifier == .sequence {
                try DER.sequence(node, identifier: .sequence) { entries in
                    while let entry = entries.next() {
                        try DER.sequence(entry, identifier: .sequence) { fields in
                            numbers.insert(Certificate.SerialNumber(bytes: try ArraySlice(derEncoded: &fields)))
                            while fields.next() != nil {}
                        }
                    }
                }
            }
            return (issuer, numbers)
        }
    }

    func isSigned(by signer: Certificate) -> Bool {
        let known: [ASN1ObjectIdentifier: Certificate.SignatureAlgorithm] = [
            [1, 2, 840, 113549, 1, 1, 5]: .sha1WithRSAEncryption,
            [1, 2, 840, 113549, 1, 1, 11]: .sha256WithRSAEncryption,
            [1, 2, 840, 113549, 1, 1, 12]: .sha384WithRSAEncryption,
            [1, 2, 840, 113549, 1, 1, 13]: .sha512WithRSAEncryption, [1, 2, 840, 10045, 4, 3, 2]: .ecdsaWithSHA256,
            [1, 2, 840, 10045, 4, 3, 3]: .ecdsaWithSHA384, [1, 2, 840, 10045, 4, 3, 4]: .ecdsaWithSHA512,
            [1, 3, 101, 112]: .ed25519,
        ]
        guard let algorithm = known[algorithm] else { return false }
        return signer.publicKey.isValidSignature(signature, for: signed, signatureAlgorithm: algorithm)
    }
}
