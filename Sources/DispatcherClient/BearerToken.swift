import FoundationEssentials
import Glibc

/// The token of somebody else's making (WLCG, SciTokens) with which to sign in.
package enum BearerToken {
    /// Finds it where the clients look: what was given (the name of a file, else the token itself), `BEARER_TOKEN`, the
    /// file that `BEARER_TOKEN_FILE` names, and `bt_u<ID>` in `XDG_RUNTIME_DIR`.
    ///
    /// - Throws: ``SignInError`` naming the file that should have been there.
    package static func find(given: String?, environment: [String: String], userID: UInt32 = geteuid()) throws -> String
    {
        func variable(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        if let given {
            var status = stat()
            guard stat(given, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
                return try checked(given, given)
            }
            return try read(given)
        }
        if let token = variable("BEARER_TOKEN") { return try checked(token, "BEARER_TOKEN") }
        if let file = variable("BEARER_TOKEN_FILE") { return try read(file) }
        let folder = variable("XDG_RUNTIME_DIR") ?? "/tmp"
        return try read("\(folder)/bt_u\(variable("ID") ?? "\(userID)")")
    }

    private static func read(_ path: String) throws -> String {
        guard access(path, F_OK) == 0 else { throw SignInError("File not found: \(path)") }
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw SignInError("\(path) can not be read")
        }
        return try checked(text, path)
    }

    private static func checked(_ text: String, _ place: String) throws -> String {
        let token = text.split(whereSeparator: \.isWhitespace)
        guard token.count == 1 else { throw SignInError("there is no token in \(place)") }
        return String(token[0])
    }
}
