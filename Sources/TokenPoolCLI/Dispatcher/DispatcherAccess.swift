import CouchDB
import DispatcherClient
import Foundation
import Logging

/// Where the dispatcher is and who we are there.
///
/// `DATA_DISPATCHER_URL` and `DATA_DISPATCHER_AUTH_URL` name it, and the token library says who we are. For `tokenpool`
/// an `--url` wins over them; without either the dispatcher is the one beside the pool's server, and the pool's user and
/// password sign in by themselves.
struct DispatcherAccess: Sendable {
    let dataURL: String
    let authenticationURL: String
    private let tls: TLSOptions
    /// Who signs in without being asked.
    private let own: Own?
    private let library: TokenLibrary?
    private let logger: Logger

    private struct Own: Sendable {
        let user: String
        let password: String
    }

    init(
        _ options: some ServerOptions, calledAs name: CalledAs = .now,
        environment: [String: String] = ProcessInfo.processInfo.environment,
        folder: String = FileManager.default.currentDirectoryPath
    ) throws {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        logger = options.logger
        library = TokenLibrary.find(home: variable("HOME"), folder: folder)
        if name == .tokenpool, options.url != nil || variable("DATA_DISPATCHER_URL") == nil {
            let settings = try Settings.resolve(options, environment: environment)
            let configuration = try settings.serverConfiguration(logger: options.logger)
            let base = configuration.url + "/_pool/dd"
            (dataURL, authenticationURL) = (base + "/data", base + "/auth")
            tls = configuration.tls
            let named = configuration.namedUser
            own = (named?.name ?? settings.user?.value).flatMap { user in
                (settings.password ?? named?.password).map { Own(user: user, password: $0) }
            }
            return
        }
        own = nil
        guard let data = variable("DATA_DISPATCHER_URL") else {
            throw Self.missing("Server address must be specified", "-s", "DATA_DISPATCHER_URL")
        }
        dataURL = data
        if let url = variable("DATA_DISPATCHER_AUTH_URL") {
            authenticationURL = url
        } else if name == .tokenpool {
            authenticationURL = data.hasSuffix("/data") ? data.dropLast(4) + "auth" : data + "/auth"
        } else {
            throw Self.missing(
                "Authentication server address must be specified", "-a", "DATA_DISPATCHER_AUTH_URL")
        }
        var tls = TLSOptions()
        tls.authorityFile = options.certificateAuthority
        tls.authorityFolder = variable("X509_CERT_DIR")
        if options.insecure { tls.unverifiedHost = URLComponents(string: data)?.host }
        self.tls = tls
    }

    private static func missing(_ what: String, _ option: String, _ variable: String) -> CommandFailure {
        CommandFailure(
            message: "\(what) either using \(option) option or using environment variable \(variable)", status: .usage)
    }

    /// A client that shows our token, and gets another when it ends.
    func client() throws -> DispatcherClient {
        let session = DispatcherSession(token: own == nil ? try kept() : nil) { refused in
            try await renewed(refused)
        }
        return try DispatcherClient(url: dataURL, session: session, tls: tls, logger: logger)
    }

    private func renewed(_ refused: String?) async throws -> String? {
        // Somebody may have signed in meanwhile.
        if let token = try kept(), token != refused, own == nil || AccessClaims(token)?.user == own?.user {
            return token
        }
        guard let own else { return nil }
        let token = try await signIn.password(own.user, own.password)
        do { try keep(token) } catch {
            // The next command signs in again.
            logger.warning("the dispatcher's token is not kept", metadata: ["reason": "\(error)"])
        }
        return token
    }

    var signIn: SignIn { SignIn(url: authenticationURL, tls: tls, logger: logger) }

    private func kept() throws -> String? { try library?.token(for: dataURL, now: Date().timeIntervalSince1970) }

    /// Remembers a token for the commands to come.
    func keep(_ token: String) throws {
        guard let library else {
            throw CommandFailure(
                message: "the token can not be kept: neither the home folder, nor this one, nor /tmp can be written")
        }
        try library.keep(token, for: dataURL, now: Date().timeIntervalSince1970)
    }
}
