import FoundationEssentials
import Glibc

/// The file `.data_dispatcher_worker_id` in the working directory, by which a worker knows its name.
package struct WorkerIDFile: Sendable {
    private let path: String

    package init(folder: String) { path = folder + "/.data_dispatcher_worker_id" }

    /// The name in the file; a new one, which is written, when there is no file.
    package func current() throws -> String {
        guard access(path, F_OK) == 0 else { return try renew() }
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw SignInError("reading \(path) failed: it must be a text")
        }
        let name = text.drop(while: \.isWhitespace).prefix { !$0.isNewline }
        return name.isEmpty ? try renew() : String(name)
    }

    /// A new name of eight hexadecimal digits.
    package func renew() throws -> String {
        let digits = String(UInt32.random(in: .min ... .max), radix: 16)
        let name = String(repeating: "0", count: 8 - digits.count) + digits
        try set(name)
        return name
    }

    /// Writes a name.
    package func set(_ name: String) throws {
        do { try Data(name.utf8).write(to: URL(filePath: path), options: .atomic) } catch {
            throw SignInError("writing \(path) failed: \(String(cString: strerror(errno)))")
        }
    }
}
