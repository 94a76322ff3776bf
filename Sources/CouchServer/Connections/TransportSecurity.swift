import NIOCore
import NIOSSL
import Synchronization

/// TLS on the listening socket: which certificate is shown, and whether clients are asked for theirs.
package final class TransportSecurity: Sendable {
    /// The files that are read, PEM.
    package struct Files: Sendable {
        /// The server's certificate and those between it and an authority.
        package var certificate: String
        /// Its private key.
        package var key: String
        /// Whether clients are asked for a certificate. They need not have one.
        package var asksClients: Bool

        package init(certificate: String, key: String, asksClients: Bool) {
            self.certificate = certificate
            self.key = key
            self.asksClients = asksClients
        }
    }

    private let files: Files
    /// Protects what new connections get.
    private let context: Mutex<NIOSSLContext>

    /// - Throws: What is wrong with the files.
    package init(_ files: Files) throws {
        self.files = files
        context = Mutex(try Self.read(files))
    }

    /// Reads the files again, for connections from now on. When something is wrong with them all stays as it is.
    package func reload() throws {
        let read = try Self.read(files)
        context.withLock { $0 = read }
    }

    private static func read(_ files: Files) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificate)
        let key = try NIOSSLPrivateKey(file: files.key, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        configuration.certificateVerification = files.asksClients ? .optionalVerification : .none
        return try NIOSSLContext(configuration: configuration)
    }

    /// Secures a connection that was just opened. On its event loop.
    func secure(_ channel: any Channel) throws {
        let context = context.withLock { $0 }
        guard files.asksClients else {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context))
            return
        }
        let shown = ClientCertificates()
        // That the client has the key of the first one is proved by the handshake in any case. Who that is matters only to
        // pages that ask, which verify it: so a bad certificate gets an answer with the reason, not a cut connection.
        let handler = NIOSSLServerHandler(
            context: context,
            customVerificationCallback: { certificates, promise in
                do {
                    shown.keep(try certificates.map { try $0.toDERBytes() })
                    promise.succeed(.certificateVerified)
                } catch {
                    promise.succeed(.failed)
                }
            },
            configuration: .init())
        try channel.pipeline.syncOperations.addHandler(handler)
        try channel.pipeline.syncOperations.addHandler(shown)
    }
}

/// Keeps the certificates that a client showed, in DER, not verified.
private final class ClientCertificates: ChannelInboundHandler, Sendable {
    typealias InboundIn = NIOAny
    // Protects what was shown.
    private let chain = Mutex<[[UInt8]]>([])

    func keep(_ certificates: [[UInt8]]) { chain.withLock { $0 = certificates } }

    var certificates: [[UInt8]] { chain.withLock { $0 } }
}

extension Channel {
    /// The certificates that the client showed, its own first, in DER; not verified but for having the key of the first.
    /// Empty without TLS, or when it showed none.
    package func clientCertificates() async throws -> [[UInt8]] {
        try await eventLoop.submit { () -> [[UInt8]] in
            let pipeline = self.pipeline.syncOperations
            guard let shown = try? pipeline.handler(type: ClientCertificates.self) else { return [] }
            let chain = shown.certificates
            if !chain.isEmpty { return chain }
            // A session that was taken up again shows its first certificate only.
            let first = try pipeline.handler(type: NIOSSLServerHandler.self).peerCertificate
            return try first.map { [try $0.toDERBytes()] } ?? []
        }.get()
    }
}
