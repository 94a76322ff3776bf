import CouchDocument
import Foundation
import Testing

@testable import TokenPool

/// What a shell writes to stdout.
func run(_ command: String) throws -> String {
    let process = Process()
    process.executableURL = URL(filePath: "/bin/sh")
    process.arguments = ["-c", command]
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    let data = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
}

/// A folder of a test's own, gone when the test ends.
final class Scratch {
    let url: URL

    init(_ files: [String: String] = [:]) throws {
        url = FileManager.default.temporaryDirectory.appending(path: "tokenpool-sets-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        for (name, text) in files { try write(text, to: name) }
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func write(_ text: String, to name: String) throws {
        let file = url.appending(path: name)
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: file)
    }

    func path(_ name: String) -> String { url.appending(path: name).path(percentEncoded: false) }

    /// The tokens of a configuration in this folder.
    func tokens(_ name: String = "set.yaml", options: SetConfiguration.Options = .init()) throws -> [Token] {
        try SetConfiguration(file: path(name), options: options).tokens().map { try $0.get() }
    }
}

/// The tokens of a configuration text, beside files.
func tokens(
    _ yaml: String, files: [String: String] = [:], options: SetConfiguration.Options = .init()
) throws -> [Token] {
    let scratch = try Scratch(files.merging(["set.yaml": yaml]) { $1 })
    return try scratch.tokens(options: options)
}

/// The one line that a configuration is refused with, its folder left out.
func refusal(_ yaml: String, files: [String: String] = [:], options: SetConfiguration.Options = .init()) throws
    -> String
{
    let scratch = try Scratch(files.merging(["set.yaml": yaml]) { $1 })
    do {
        let configuration = try SetConfiguration(file: scratch.path("set.yaml"), options: options)
        _ = try SetLedger(configuration, progress: nil)
        return "no error"
    } catch {
        return "\(error)".replacing(scratch.path(""), with: "").replacing(
            scratch.url.path(percentEncoded: false) + "/", with: "")
    }
}

/// The text of an attachment that is to be saved with a token.
func content(_ name: String, of token: Token) -> String? {
    token.document.attachments[name]?["data"]?.stringValue.flatMap { Data(base64Encoded: $0) }
        .map { String(decoding: $0, as: UTF8.self) }
}

/// The folder of real input from PiCaS and GRID_LRT, which is not part of the package.
enum RealData {
    static let folder: URL? = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let given = ProcessInfo.processInfo.environment["TOKENPOOL_DATA"].map { URL(filePath: $0) }
        let candidates = [given, root.appending(path: "../shared/data").standardizedFileURL].compactMap { $0 }
        return candidates.first {
            FileManager.default.fileExists(atPath: $0.appending(path: "token-configs-yaml").path(percentEncoded: false))
        }
    }()
    static let reason: Comment = "no real data: set TOKENPOOL_DATA to its folder, or put it at ../shared/data"

    static func path(_ name: String) -> String { folder?.appending(path: name).path(percentEncoded: false) ?? name }

    static func files(_ name: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: path(name)))?.sorted() ?? []
    }
}
