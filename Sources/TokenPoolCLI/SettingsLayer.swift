import Foundation
import Yams

/// What one place (the flags, the environment, a file) says; `nil` where it says nothing.
struct SettingsLayer {
    var source: String
    var url: String?
    var database: String?
    var user: String?
    var password: String?
    var passwordFile: String?
    /// The file that lets its reader know the password: that file, or a key.
    var secretFile: String?
    var certificateAuthority: String?

    init(
        source: String, url: String? = nil, database: String? = nil, passwordFile: String? = nil,
        certificateAuthority: String? = nil
    ) {
        self.source = source
        self.url = url
        self.database = database
        self.passwordFile = passwordFile
        secretFile = passwordFile
        self.certificateAuthority = certificateAuthority
    }

    /// Reads `config.yaml`: `url`, `database`, `user`, `password_file`, `ca_file`. Any other key is refused.
    init(tokenpoolFile path: String) throws {
        self.init(source: path)
        for (key, value, line) in try Self.entries(of: path) {
            switch key {
            case "url": url = value
            case "database": database = value
            case "user": user = value
            case "password_file":
                passwordFile = value.hasPrefix("/") ? value : (path as NSString).deletingLastPathComponent + "/" + value
                secretFile = passwordFile
            case "ca_file": certificateAuthority = value
            default:
                throw CommandFailure(
                    message: "\(path):\(line): key \"\(key)\" is not known: "
                        + "expected url, database, user, password_file or ca_file", status: .usage)
            }
        }
    }

    /// Whether the file is one of PiCaS, which names its server `host_url`.
    static func isPicas(_ path: String) throws -> Bool { try entries(of: path).contains { $0.key == "host_url" } }

    /// Reads PiCaS 1.1's `conf.yml` (`host_url`, `database`, `username`, `encrypted_password`) with its Fernet key.
    init(picasFile path: String, keyFile: String) throws {
        self.init(source: path)
        secretFile = keyFile
        for (key, value, _) in try Self.entries(of: path) {
            switch key {
            case "host_url": url = value
            case "database": database = value
            case "username": user = value
            case "encrypted_password":
                guard let key = try? String(contentsOfFile: keyFile, encoding: .utf8),
                    let secret = Fernet(key: key.trimmingCharacters(in: .whitespacesAndNewlines))?.decrypt(value)
                else {
                    throw CommandFailure(
                        message: "\(path): the key in \(keyFile) does not open encrypted_password", status: .usage)
                }
                password = secret
            default: continue
            }
        }
    }

    /// Reads GRID_LRT's `.picasrc`: `user=`, `password=`, `database=` lines. A value may hold `=`.
    init(picasrc path: String) throws {
        self.init(source: path)
        secretFile = path
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(message: "can not read \(path)", status: .usage)
        }
        for line in text.split(whereSeparator: \.isNewline) {
            guard let equals = line.firstIndex(of: "=") else { continue }
            let value = String(line[line.index(after: equals)...])
            switch line[..<equals] {
            case "user": user = value
            case "password": password = value
            case "database": database = value
            default: continue
            }
        }
    }

    /// The entries of a file that is one flat mapping of texts.
    private static func entries(of path: String) throws -> [(key: String, value: String, line: Int)] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(message: "can not read the settings file \(path)", status: .usage)
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw CommandFailure(message: "\(path): \(error)", status: .usage)
        }
        guard let root else { return [] }
        guard let mapping = root.mapping else {
            throw CommandFailure(message: "\(path):1: expected a mapping of settings", status: .usage)
        }
        return try mapping.map { key, value in
            let line = key.mark?.line ?? 1
            guard let name = key.string, let scalar = value.scalar?.string else {
                throw CommandFailure(
                    message: "\(path):\(line): expected a text for \"\(key.string ?? "?")\"", status: .usage)
            }
            return (name, scalar, line)
        }
    }
}
