import GridCertificates
import Synchronization

/// The authorities whose certificates let people in, as they are on disk.
package final class GridTrust: Sendable {
    private let path: String
    // Protects what was read last.
    private let current: Mutex<CertificateVerifier>

    /// - Throws: ``TrustedAuthorities/Fault``.
    package init(path: String) throws {
        self.path = path
        current = Mutex(CertificateVerifier(try TrustedAuthorities(path: path)))
    }

    var verifier: CertificateVerifier { current.withLock { $0 } }

    /// Reads them again; when there are none, all stays as it is.
    ///
    /// - Returns: Files that could not be read.
    package func reload() throws -> [String] {
        let authorities = try TrustedAuthorities(path: path)
        current.withLock { $0 = CertificateVerifier(authorities) }
        return authorities.faults
    }
}
