import Foundation

/// Passwords on their way from a person to a file that only that person can read.
enum SecretFile {
    /// Makes a folder into which nobody else can look, unless it is there.
    static func makeFolder(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Writes a file that nobody else can read, not even for a moment.
    static func write(_ text: String, to path: String) throws {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else {
            throw CommandFailure(message: "can not write \(path): \(String(cString: strerror(errno)))")
        }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
        guard rename(temporary, path) == 0 else {
            throw CommandFailure(message: "can not write \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// A new password: at a terminal typed twice.
    static func askTwice(_ prompt: String) throws -> String {
        guard let first = readPassword(prompt: prompt), !first.isEmpty else {
            throw CommandFailure(message: "no password was given", status: .usage)
        }
        if isatty(STDIN_FILENO) == 1, readPassword(prompt: "once more: ") != first {
            throw CommandFailure(message: "the two are not the same: nothing was changed", status: .usage)
        }
        return first
    }

    /// The password as typed, unseen; or the first line of stdin when that is no terminal.
    static func readPassword(prompt: String) -> String? {
        if isatty(STDIN_FILENO) == 1 {
            guard let typed = getpass(prompt) else { return nil }
            return String(cString: typed)
        }
        return readLine(strippingNewline: true)
    }
}
