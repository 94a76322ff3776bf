import ArgumentParser
import DispatcherClient
import Foundation

/// How somebody signs in at the dispatcher.
enum LoginMethod: String, ExpressibleByArgument, CaseIterable {
    case password, x509, token
}

/// Signing in at the dispatcher: the token goes into the token library.
struct DispatcherLogin {
    let method: LoginMethod
    let user: String
    /// What stands behind the user: a certificate and its key, or one file for both.
    let files: [String]
    /// A token, or a file that holds one.
    let bearer: String?

    /// Reads `USER`, `USER CERT [KEY]` and `METHOD USER …`.
    init(_ method: LoginMethod?, _ words: [String], bearer: String?) throws {
        var words = words[...]
        var method = method
        if method == nil, words.count > 1, let named = words.first.flatMap(LoginMethod.init) {
            method = named
            words = words.dropFirst()
        }
        self.method = method ?? .password
        guard let user = words.first else { throw ValidationError("Missing expected argument '<user>'") }
        self.user = user
        files = Array(words.dropFirst())
        self.bearer = bearer
        switch self.method {
        case .x509:
            guard (1...2).contains(files.count) else {
                throw ValidationError(
                    files.isEmpty ? "Certificate or proxy file needed" : "a certificate and a key are wanted, no more")
            }
        case .password, .token:
            guard files.isEmpty else { throw ValidationError("Unexpected argument '\(files[0])'") }
        }
        guard bearer == nil || self.method == .token else { throw ValidationError("-t is for -m token") }
    }

    func run(_ options: some ServerOptions) async throws {
        let access = try DispatcherAccess(options)
        let token: String
        do {
            token = try await signIn(access)
        } catch let error as DispatcherError where error.code == .unauthorized {
            throw CommandFailure(
                message: error.reason.contains("Authentication failed")
                    ? error.reason : "Authentication failed: \(error.reason)", status: .notAllowed)
        }
        try access.keep(token)
        guard let claims = AccessClaims(token) else { return }
        let output = Output(style: .people)
        output.line("User:    \(claims.user)")
        output.line("Expires: " + CalendarText.local(claims.expires, "%a %b %e %H:%M:%S %Y"))
    }

    private func signIn(_ access: DispatcherAccess) async throws -> String {
        switch method {
        case .password:
            guard let password = SecretFile.readPassword(prompt: "Password:") else {
                throw CommandFailure(message: "no password was given", status: .usage)
            }
            return try await access.signIn.password(user, password)
        case .x509:
            for file in files where !FileManager.default.isReadableFile(atPath: file) {
                throw CommandFailure(message: "can not read \(file)")
            }
            return try await access.signIn.certificate(user, certificate: files[0], key: files.last ?? files[0])
        case .token:
            let bearer = try BearerToken.find(given: bearer, environment: ProcessInfo.processInfo.environment)
            return try await access.signIn.token(user, bearer)
        }
    }
}
