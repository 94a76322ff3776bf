import CouchServer
import Gateway
import Logging
import ServiceLifecycle
import UnixSignals

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension Daemon {
    /// What the options say of TLS; nothing: plain HTTP.
    func transportSecurity() throws -> TransportSecurity? {
        guard let certificate = options.tlsCertificate, let key = options.tlsKey else { return nil }
        for file in [certificate, key] where access(file, R_OK) != 0 {
            throw StartRefusal(reason: "can not read \(file): \(String(cString: strerror(errno)))")
        }
        do {
            return try TransportSecurity(
                TransportSecurity.Files(certificate: certificate, key: key, asksClients: options.tlsClientCa != nil))
        } catch {
            throw StartRefusal(
                reason:
                    "--tls-certificate \(certificate) with --tls-key \(key): no PEM certificate with its key: \(error)")
        }
    }

    /// Whose certificates let people in.
    func gridTrust() throws -> GridTrust? {
        guard let path = options.tlsClientCa else { return nil }
        do {
            let trust = try GridTrust(path: path)
            for fault in try trust.reload() { say("--tls-client-ca: \(fault)") }
            return trust
        } catch {
            throw StartRefusal(reason: "--tls-client-ca: \(error)")
        }
    }

    /// Reads the certificates again when it is time for that; `nil` without TLS.
    func certificateWatch(_ security: TransportSecurity?, _ logger: Logger) -> CertificateWatch? {
        guard let security else { return nil }
        let files = [options.tlsCertificate, options.tlsKey, options.tlsClientCa].compactMap { $0 }
        return CertificateWatch(files: files, security: security, trust: dispatcher.signIn.trust, logger: logger)
    }
}

/// Reads certificates, keys and authorities again on SIGHUP, and when their files have changed.
struct CertificateWatch: Service {
    let files: [String]
    let security: TransportSecurity
    let trust: GridTrust?
    let logger: Logger
    /// Between two looks at the files.
    private static let pause = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    let signals = await UnixSignalsSequence(trapping: .sighup)
                    for await _ in signals { reload(because: "SIGHUP") }
                }
                group.addTask {
                    var stamps = self.stamps
                    while !Task.isCancelled {
                        do { try await Task.sleep(for: Self.pause) } catch { return }
                        let now = self.stamps
                        if now != stamps { reload(because: "the files have changed") }
                        stamps = now
                    }
                }
            }
        }
    }

    /// What tells that a file, or a folder's list, is another: device and number, length and time of change.
    private var stamps: [[Int]] {
        files.map { file in
            var status = stat()
            guard stat(file, &status) == 0 else { return [] }
            return [
                Int(status.st_dev), Int(status.st_ino), Int(status.st_size), status.st_mtim.tv_sec,
                status.st_mtim.tv_nsec,
            ]
        }
    }

    private func reload(because reason: String) {
        do {
            try security.reload()
            for fault in try trust?.reload() ?? [] { logger.warning("authorities", metadata: ["fault": "\(fault)"]) }
            logger.notice("certificates were read again", metadata: ["reason": "\(reason)"])
        } catch {
            logger.error("certificates stay as they were", metadata: ["error": "\(error)"])
        }
    }
}
