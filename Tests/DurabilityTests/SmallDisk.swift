import Foundation
import TestSupport
import Testing

/// Little room for a server's files: a file system of few megabytes where the tests may mount one, else a limit on the
/// size of each file.
enum SmallDisk {
    /// Whether a file system can be mounted here.
    static let canMount: Bool = {
        guard getuid() == 0 else { return false }
        let folder = NSTemporaryDirectory() + "mount-\(UUID().uuidString)"
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: folder) }
            try run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder)
            try run("umount", folder)
            return true
        } catch {
            return false
        }
    }()

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    static func run(_ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        if process.terminationStatus != 0 {
            throw Failure(description: "\(arguments.joined(separator: " ")): status \(process.terminationStatus)")
        }
    }

    /// Runs a test with an empty file system of that size, which is gone afterwards.
    static func with(megabytes: Int, _ body: (_ folder: String) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "small-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try run("mount", "-t", "tmpfs", "-o", "size=\(megabytes)m", "tmpfs", folder)
        do {
            try await body(folder)
        } catch {
            // The test's own error is the one to tell. Lazily: a server may still hold it.
            try? run("umount", "-l", folder)
            throw error
        }
        try run("umount", folder)
        try FileManager.default.removeItem(atPath: folder)
    }

    static func resize(_ folder: String, megabytes: Int) throws {
        try run("mount", "-o", "remount,size=\(megabytes)m", folder)
    }

    static func makeReadOnly(_ folder: String, _ isReadOnly: Bool) throws {
        try run("mount", "-o", isReadOnly ? "remount,ro" : "remount,rw", folder)
    }

    /// Limits the size of the files that a process writes; `nil`: lifts the limit again.
    static func limitFiles(of process: pid_t, bytes: Int?) throws {
        // The soft limit, which its owner may raise again.
        try run("prlimit", "--pid", "\(process)", "--fsize=\(bytes.map { "\($0)" } ?? "unlimited"):")
    }
}
