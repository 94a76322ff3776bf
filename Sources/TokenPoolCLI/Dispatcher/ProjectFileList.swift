import CouchDocument
import DispatcherClient
import Foundation
import GridData
import TokenPool

/// The files of a project that is to be made, from where people name them.
enum ProjectFileList {
    /// Lines of `namespace:name [name=value ...]`; blank ones do not count.
    static func lines(of path: String) throws -> [ProjectRequest.File] {
        let text = try InputFile.text(path)
        var files: [ProjectRequest.File] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(maxSplits: 1, whereSeparator: \.isWhitespace)
            guard let first = words.first else { continue }
            let place = "\(path == "-" ? "stdin" : path):\(number + 1)"
            var file = try self.file(String(first), place)
            if words.count > 1 {
                do throws(AttributeText.Malformed) { file.attributes = try AttributeText.words(words[1]) } catch {
                    throw CommandFailure(message: "\(place): \(error.reason)")
                }
            }
            files.append(file)
        }
        return files
    }

    /// A list of `"namespace:name"` and `{"namespace", "name", "attributes"}`.
    static func json(of path: String) throws -> [ProjectRequest.File] {
        let place = path == "-" ? "stdin" : path
        guard let list = try InputFile.json(path).arrayValue else {
            throw CommandFailure(message: "\(place): expected a JSON list of files")
        }
        return try list.enumerated().map { number, entry in
            let place = "\(place), file \(number + 1)"
            if let did = entry.stringValue { return try file(did, place) }
            guard let namespace = entry["namespace"]?.stringValue, let name = entry["name"]?.stringValue else {
                throw CommandFailure(message: "\(place): File specification must include namespace and name")
            }
            let attributes = entry["attributes"] ?? .null
            guard attributes.isNull || attributes.objectValue != nil else {
                throw CommandFailure(message: "\(place): attributes must be an object, not a \(attributes.kind)")
            }
            return .init(namespace: namespace, name: name, attributes: attributes.objectValue ?? [:])
        }
    }

    private static func file(_ did: String, _ place: String) throws -> ProjectRequest.File {
        guard let colon = did.firstIndex(of: ":"), colon != did.startIndex, did.index(after: colon) != did.endIndex
        else { throw CommandFailure(message: "\(place): \"\(did)\" is no namespace:name") }
        return .init(namespace: String(did[..<colon]), name: String(did[colon...].dropFirst()))
    }

    /// What a MetaCat query finds.
    static func found(
        by query: String, copying fields: [String],
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) async throws -> [ProjectRequest.File] {
        guard let url = environment["METACAT_SERVER_URL"], !url.isEmpty else {
            throw CommandFailure(
                message: "a query wants MetaCat: set METACAT_SERVER_URL to its address", status: .usage)
        }
        do {
            var files: [ProjectRequest.File] = []
            // Who signed in at MetaCat with its own client has a token of it in the same place.
            let library = TokenLibrary.find(
                home: environment["HOME"], folder: FileManager.default.currentDirectoryPath)
            let token = try library?.token(for: url, now: Date().timeIntervalSince1970)
            for try await file in try MetaCat(url: url, token: token).query(query, withMetadata: !fields.isEmpty) {
                files.append(
                    .init(namespace: file.did.namespace, name: file.did.name, attributes: file.fields(fields)))
            }
            return files
        } catch let error as GridError {
            throw CommandFailure(
                message: "\(error)", status: error.code == .unavailable ? .unreachable : .no)
        }
    }
}
