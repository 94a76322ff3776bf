import FoundationEssentials
import Glibc

/// The file `.token_library` in which Data Dispatcher's clients keep their tokens: a line for each server, its URL as it was
/// given and the token. Only its owner can read it.
package struct TokenLibrary: Sendable {
    /// Where it is.
    package let path: String

    package init(path: String) { self.path = path }

    /// The one that clients use: the first that exists in the home folder, the working directory and `/tmp`, else the first
    /// that can be made.
    ///
    /// One in `/tmp` that is somebody else's is not read: its tokens would be theirs.
    package static func find(home: String?, folder: String, shared: String = "/tmp") -> TokenLibrary? {
        let places = [home, folder, shared].compactMap { place in
            place.flatMap { $0.isEmpty ? nil : $0 + "/.token_library" }
        }
        if let there = places.first(where: isOurs) { return TokenLibrary(path: there) }
        return places.first { place in
            let folder = String(place.dropLast("/.token_library".count))
            return access(folder, W_OK) == 0 && access(place, F_OK) != 0
        }.map { TokenLibrary(path: $0) }
    }

    private static func isOurs(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_uid == geteuid() && access(path, R_OK) == 0
    }

    /// The token for a server; `nil` when there is none or it has ended.
    package func token(for url: String, now: Double) throws -> String? {
        try entries().last { $0.url == url }.map(\.token).flatMap { token in
            AccessClaims(token).map { $0.expires > now } ?? true ? token : nil
        }
    }

    /// Keeps a token, in place of the server's earlier one. Tokens that have ended go.
    package func keep(_ token: String, for url: String, now: Double) throws {
        var lines = try entries().filter { entry in
            entry.url != url && (AccessClaims(entry.token).map { $0.expires > now } ?? true)
        }
        lines.append((url, token))
        let text = lines.map { "\($0.url) \($0.token)\n" }.joined()
        // Complete or as it was, and never open to others, not even for a moment.
        let draft = "\(path).\(getpid())"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure("making", draft) }
        var isWritten = true
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            guard count > 0 else {
                isWritten = errno == EINTR
                if isWritten { continue }
                break
            }
            rest = rest.dropFirst(count)
        }
        let error = isWritten ? nil : failure("writing", draft)
        close(descriptor)
        if let error {
            unlink(draft)
            throw error
        }
        guard rename(draft, path) == 0 else { throw failure("writing", path) }
    }

    private func entries() throws -> [(url: String, token: String)] {
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            // It comes to be with the first token.
            if access(path, F_OK) != 0 { return [] }
            throw failure("reading", path)
        }
        return text.split(whereSeparator: \.isNewline).compactMap { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            return words.count == 2 ? (String(words[0]), String(words[1])) : nil
        }
    }

    private func failure(_ action: String, _ path: String) -> SignInError {
        SignInError("\(action) \(path): \(String(cString: strerror(errno)))")
    }
}
