import Foundation

/// Certificates of all kinds, good and bad, made by OpenSSL in a folder that goes with this.
public final class TestCertificates: Sendable {
    /// Where they are: `NAME.pem` and `NAME.key`.
    public let folder: String
    // Removes the folder when its input closes, which happens also when the tests end.
    private let broom: AudibleProcess

    private static let script = #"""
        set -e
        cd "$1"
        cat > c.cnf <<'C'
        [req]
        distinguished_name = dn
        prompt = no
        [dn]
        CN = x
        [authority]
        basicConstraints = critical,CA:TRUE
        keyUsage = critical,keyCertSign,cRLSign
        [server]
        subjectAltName = IP:127.0.0.1,DNS:localhost
        extendedKeyUsage = serverAuth
        [user]
        basicConstraints = critical,CA:FALSE
        keyUsage = critical,digitalSignature
        extendedKeyUsage = clientAuth
        [mute]
        keyUsage = critical,keyEncipherment
        [proxy]
        keyUsage = critical,digitalSignature
        proxyCertInfo = critical,language:id-ppl-inheritAll
        [last]
        proxyCertInfo = critical,language:id-ppl-inheritAll,pathlen:0
        [limited]
        proxyCertInfo = critical,language:1.3.6.1.4.1.3536.1.1.1.9
        [independent]
        proxyCertInfo = critical,language:id-ppl-independent
        [strange]
        proxyCertInfo = critical,language:1.2.3.4,policy:text:x
        [mild]
        proxyCertInfo = language:id-ppl-inheritAll
        [named]
        subjectAltName = DNS:elsewhere
        proxyCertInfo = critical,language:id-ppl-inheritAll
        [mighty]
        basicConstraints = critical,CA:TRUE
        proxyCertInfo = critical,language:id-ppl-inheritAll
        C
        key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
        authority() { key $1; openssl req -x509 -new -key $1.key -config c.cnf -extensions authority -subj "$2" -days 30 -out $1.pem; }
        # NAME SUBJECT SIGNER EXTENSIONS DAYS
        sign() {
            key $1
            openssl req -new -key $1.key -config c.cnf -subj "$2" -out $1.csr
            openssl x509 -req -in $1.csr -CA $3.pem -CAkey $3.key -CAcreateserial -days ${5:-10} -extfile c.cnf -extensions $4 -out $1.pem 2>/dev/null
        }
        A="/DC=org/DC=example/CN=Alice Example"
        authority ca "/DC=org/DC=example/CN=Test CA"
        authority other "/DC=org/DC=example/CN=Other CA"
        sign between "/DC=org/DC=example/CN=Issuing CA" ca authority
        sign server "/CN=localhost" ca server
        sign server2 "/CN=localhost" ca server
        sign alice "$A" ca user
        sign bob "/DC=org/DC=example/CN=Bob/CN=host\/x.example.org" between user
        sign expired "$A" ca user -1
        sign foreign "$A" other user
        sign mute "$A" ca mute
        sign web "$A" ca server
        # Proxies of alice.
        for kind in proxy last limited independent strange mild named mighty; do sign $kind "$A/CN=1" alice $kind; done
        sign old "$A/CN=1" alice proxy -1
        sign two "$A/CN=1/CN=2" proxy limited
        sign three "$A/CN=1/CN=2/CN=3" two limited
        sign wide "$A/CN=1/CN=2" limited proxy
        sign beyond "$A/CN=1/CN=2" last proxy
        sign renamed "/DC=org/DC=example/CN=Bob/CN=1" alice proxy
        sign plain "$A/CN=1" alice user
        sign unheard "$A/CN=1" mute proxy
        # Signed with the key of somebody else of that name, and by an authority.
        sign forged "$A/CN=1" foreign proxy
        sign pretended "$A/CN=1" ca proxy
        # alice was valid until she was not.
        sign gone "/DC=org/DC=example/CN=Gone" ca user
        touch index.txt; echo 01 >crlnumber
        cat >ca.cnf <<'C'
        [ca]
        default_ca = x
        [x]
        database = index.txt
        crlnumber = crlnumber
        default_md = sha256
        default_crl_days = 10
        C
        openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -revoke gone.pem 2>/dev/null
        openssl ca -config ca.cnf -cert ca.pem -keyfile ca.key -gencrl -out ca.crl 2>/dev/null
        mkdir authorities
        cp ca.pem authorities/1a2b3c4d.0; cp ca.crl authorities/1a2b3c4d.r0; echo 'nothing' >authorities/broken.pem
        """#

    private static let common = Task { try await TestCertificates() }

    /// Those that all tests share.
    public static func shared() async throws -> TestCertificates { try await common.value }

    private init() async throws {
        folder = FileManager.default.temporaryDirectory.path + "/certificates-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        broom = try AudibleProcess(
            "/bin/sh", ["-c", "cat >/dev/null; rm -rf \"$0\"", folder], listeningTo: .output)
        let result = try await Tool.run("/bin/bash", ["-c", Self.script, "certificates", folder])
        guard result.status == 0 else { throw TestServerError(description: "OpenSSL made no certificates") }
    }

    /// The path of a certificate.
    public func certificate(_ name: String) -> String { "\(folder)/\(name).pem" }

    /// The path of its key.
    public func key(_ name: String) -> String { "\(folder)/\(name).key" }

    /// A file with these certificates one after the other, as a proxy file has them.
    public func chain(_ names: [String]) throws -> String {
        let path = "\(folder)/chain-\(names.joined(separator: "-")).pem"
        let text = try names.map { try String(contentsOfFile: certificate($0), encoding: .utf8) }.joined()
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    /// A certificate in DER.
    public func der(_ name: String) throws -> [UInt8] {
        let text = try String(contentsOfFile: certificate(name), encoding: .utf8)
        let base64 = text.split(separator: "\n").filter { !$0.hasPrefix("-----") }.joined()
        return Data(base64Encoded: base64).map(Array.init) ?? []
    }
}

/// Programs of the system that run to their end.
public enum Tool {
    /// Runs one; answers its exit status and what it wrote.
    public static func run(_ program: String, _ arguments: [String]) async throws -> (status: Int32, output: String) {
        let process = try AudibleProcess(program, arguments, listeningTo: .output)
        let text = await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let data = process.output.readDataToEndOfFile()
                continuation.resume(returning: String(decoding: data, as: UTF8.self))
            }
        }
        return (await process.end(), text)
    }
}
