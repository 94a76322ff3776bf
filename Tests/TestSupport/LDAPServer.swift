import Foundation

/// OpenLDAP's server on free ports, over a folder of its own. It ends when this goes.
///
/// Below `dc=example,dc=org` it has people in `ou=people`, known by `uid`, and groups in `ou=groups`.
public final class LDAPServer: Sendable {
    /// Whether it is installed.
    public static let isInstalled = FileManager.default.isExecutableFile(atPath: "/usr/sbin/slapd")

    private static let script = """
        import os, shutil, socket, subprocess, sys, time
        folder, certificates, people = sys.argv[1:4]
        def free():
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                return s.getsockname()[1]
        plain, secure = free(), free()
        with open(folder + "/slapd.conf", "w") as f:
            f.write(f\"""
        include /etc/ldap/schema/core.schema
        include /etc/ldap/schema/cosine.schema
        include /etc/ldap/schema/nis.schema
        include /etc/ldap/schema/inetorgperson.schema
        modulepath /usr/lib/ldap
        moduleload back_mdb
        pidfile {folder}/pid
        TLSCACertificateFile {certificates}/ca.pem
        TLSCertificateFile {certificates}/server.pem
        TLSCertificateKeyFile {certificates}/server.key
        allow bind_anon_cred bind_anon_dn
        database mdb
        suffix "dc=example,dc=org"
        rootdn "cn=root,dc=example,dc=org"
        directory {folder}/data
        access to attrs=userPassword by anonymous auth by * none
        access to * by users read by anonymous auth
        \""")
        os.mkdir(folder + "/data")
        subprocess.run(["/usr/sbin/slapadd", "-f", folder + "/slapd.conf", "-l", people], check=True)
        log = open(folder + "/log", "w")
        server = subprocess.Popen(
            ["/usr/sbin/slapd", "-f", folder + "/slapd.conf", "-d", "0",
             "-h", f"ldap://127.0.0.1:{plain} ldaps://127.0.0.1:{secure}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        def serves():
            try:
                socket.create_connection(("127.0.0.1", secure), 1).close()
                return True
            except OSError:
                return False
        end = time.time() + 20
        while not serves() and server.poll() is None and time.time() < end:
            time.sleep(0.02)
        print(f"{plain} {secure}", flush=True)
        sys.stdin.read()
        server.kill()
        server.wait()
        shutil.rmtree(folder)
        """

    /// `ldap://127.0.0.1:PORT`, which can be secured.
    public let url: String
    /// `ldaps://127.0.0.1:PORT`.
    public let secureURL: String
    // Its input closes when this goes, and then it ends.
    private let process: AudibleProcess

    /// Starts one with these entries (LDIF).
    public init(_ certificates: TestCertificates, entries: String) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/slapd-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let people = folder + "/people.ldif"
        try Data(entries.utf8).write(to: URL(fileURLWithPath: people))
        process = try AudibleProcess(
            "/usr/bin/env", ["python3", "-c", Self.script, folder, certificates.folder, people], listeningTo: .output)
        let line = String(decoding: process.output.availableData, as: UTF8.self)
        let ports = line.split(whereSeparator: \.isWhitespace)
        guard ports.count == 2 else { throw TestServerError(description: "slapd did not start: \(line)") }
        url = "ldap://127.0.0.1:\(ports[0])"
        secureURL = "ldaps://127.0.0.1:\(ports[1])"
    }
}
