import CouchDB
import Foundation
import Logging
import Yams

/// Where the pool is and who we are, and from which place each value came.
///
/// First found wins: flag, environment, `--config` or `~/.config/tokenpool/config.yaml`, PiCaS'
/// `~/.config/picas/conf.yml`, GRID_LRT's `~/.picasrc` (the last two are read, never written), default.
struct Settings {
    /// A value and the place it came from, for `config show`.
    struct Sourced {
        var value: String
        var source: String
    }

    var urlSetting: Sourced
    var databaseSetting: Sourced
    var user: Sourced?
    /// Never printed.
    var password: String?
    var passwordSource: String?
    /// The file that the password came from, when it came from one of its own.
    var passwordFile: String?
    /// The file that lets its reader know the password.
    var secretFile: String?
    var certificateAuthority: Sourced?
    var verifiesCertificates = true

    static let defaultURL = "http://127.0.0.1:5984"
    static let defaultDatabase = "tokenpool"

    var url: String { urlSetting.value }
    var database: String { databaseSetting.value }

    /// The person's folder, as `HOME` says. Foundation on Linux asks the system's list of users instead, which is wrong in
    /// batch jobs and containers that set `HOME`.
    static func homeFolder(_ environment: [String: String] = ProcessInfo.processInfo.environment) -> String {
        environment["HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? NSHomeDirectory()
    }

    /// The path of the user's own settings file.
    static func defaultPath(home: String = homeFolder()) -> String { home + "/.config/tokenpool/config.yaml" }

    /// Where `tokenpool login` keeps the password.
    static func loginPasswordPath(home: String = homeFolder()) -> String {
        home + "/.config/tokenpool/password"
    }

    /// `picas-cli --config FILE` keeps the key in the home folder all the same; a copy may lie beside the file.
    private static func keyFile(beside path: String, home: String) -> String {
        let beside = (path as NSString).deletingLastPathComponent + "/key.dat"
        return FileManager.default.fileExists(atPath: beside) ? beside : home + "/.config/picas/key.dat"
    }

    /// - Throws: ``CommandFailure`` naming file, line and key when a settings file can not be understood.
    static func resolve(
        _ options: some ServerOptions, environment: [String: String] = ProcessInfo.processInfo.environment,
        home: String = homeFolder()
    ) throws -> Settings {
        var layers: [SettingsLayer] = [
            SettingsLayer(
                source: "flag", url: options.url, database: options.database, passwordFile: options.passwordFile,
                certificateAuthority: options.certificateAuthority),
            SettingsLayer(
                source: "environment", url: environment["TOKENPOOL_URL"], database: environment["TOKENPOOL_DATABASE"],
                passwordFile: environment["TOKENPOOL_PASSWORD_FILE"]),
        ]
        if let path = options.config {
            layers.append(
                try SettingsLayer.isPicas(path)
                    ? SettingsLayer(picasFile: path, keyFile: keyFile(beside: path, home: home))
                    : SettingsLayer(tokenpoolFile: path))
        } else if FileManager.default.fileExists(atPath: defaultPath(home: home)) {
            layers.append(try SettingsLayer(tokenpoolFile: defaultPath(home: home)))
        }
        let picas = home + "/.config/picas/conf.yml"
        if FileManager.default.fileExists(atPath: picas) {
            layers.append(try SettingsLayer(picasFile: picas, keyFile: home + "/.config/picas/key.dat"))
        }
        let picasrc = home + "/.picasrc"
        if FileManager.default.fileExists(atPath: picasrc) { layers.append(try SettingsLayer(picasrc: picasrc)) }
        return try Settings(layers: layers, insecure: options.insecure)
    }

    init(layers: [SettingsLayer], insecure: Bool) throws {
        func first(_ path: KeyPath<SettingsLayer, String?>) -> Sourced? {
            for layer in layers {
                if let value = layer[keyPath: path], !value.isEmpty {
                    return Sourced(value: value, source: layer.source)
                }
            }
            return nil
        }
        urlSetting = first(\.url) ?? Sourced(value: Self.defaultURL, source: "default")
        databaseSetting = first(\.database) ?? Sourced(value: Self.defaultDatabase, source: "default")
        user = first(\.user)
        certificateAuthority = first(\.certificateAuthority)
        verifiesCertificates = !insecure
        // A password belongs to the place that named the server: never send one server's password to another. Where a file
        // names no server (.picasrc), its password goes to one for which the URL names the same user.
        let address = URLComponents(string: urlSetting.value)
        var isNamed = false
        for layer in layers {
            if isNamed {
                guard let secret = layer.password, layer.url == nil, address?.password == nil, let user = layer.user,
                    address?.user == user
                else { continue }
                password = secret
                passwordSource = layer.source
                secretFile = layer.secretFile
                break
            }
            if let file = layer.passwordFile, !file.isEmpty {
                password = try Self.firstLine(of: file)
                passwordSource = "\(layer.source): \(file)"
                passwordFile = file
                secretFile = file
                break
            }
            if let secret = layer.password {
                if layer.url == nil || layer.url == urlSetting.value {
                    password = secret
                    passwordSource = layer.source
                    secretFile = layer.secretFile
                }
                break
            }
            if layer.url == urlSetting.value && layer.url != nil { isNamed = true }
        }
    }

    private static func firstLine(of path: String) throws -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(message: "can not read the password file \(path)", status: .usage)
        }
        return String(text.prefix { $0 != "\n" && $0 != "\r\n" && $0 != "\r" })
    }

    /// What the client needs to reach the server.
    func serverConfiguration(logger: Logger) throws -> ServerConfiguration {
        var configuration: ServerConfiguration
        do {
            configuration = try ServerConfiguration(url: url)
        } catch {
            throw CommandFailure(message: "\(error)", status: .usage)
        }
        configuration.logger = logger
        if let certificateAuthority { configuration.tls.authorityFile = certificateAuthority.value }
        let address = URLComponents(string: url)
        if !verifiesCertificates { configuration.tls.unverifiedHost = address?.host }
        if let password {
            let name = address?.user ?? user?.value
            guard let name else {
                throw CommandFailure(
                    message: "there is a password (\(passwordSource ?? "")) but no user: write http://USER@host:port",
                    status: .usage)
            }
            configuration.credentials = .basic(user: name, password: password)
        }
        return configuration
    }
}
