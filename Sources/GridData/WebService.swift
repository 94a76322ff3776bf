import CouchDB
import CouchDocument
import Foundation

/// Where a service of the grid is, and how to show who asks. Secrets are in files, which are read when they are needed:
/// whoever renews them there need not tell.
package struct WebAccess: Sendable, Hashable {
    /// `http(s)://host[:port][/path]`.
    package var url: String
    /// A file with a bearer token.
    package var tokenFile: String?
    /// The client's certificate with its chain, PEM; an X.509 proxy is one file for this and the key.
    package var certificateFile: String?
    /// Its key; `nil` is in the same file.
    package var keyFile: String?
    /// The authorities to trust, in place of the system's: a PEM file, or a hashed folder.
    package var authorities: String?
    /// With no byte moving in either direction it is given up after so long.
    package var stall = Duration.seconds(120)
    /// No request takes longer than this with its answer; `nil` as long as it needs.
    package var whole: Duration?

    /// A service at that URL.
    package init(url: String) { self.url = url }
}

/// A service of the grid that speaks HTTP: the connections to one server, through libcurl.
package struct WebService: Sendable {
    /// What errors call it: its kind and where it is.
    package let name: String
    private let server: Server
    private let access: WebAccess

    /// A handle; nothing is sent yet.
    ///
    /// - Parameter kind: What errors call it, such as "Rucio".
    package init(_ access: WebAccess, kind: String) throws {
        self.access = access
        do {
            var configuration = try ServerConfiguration(url: access.url)
            configuration.tls.certificateFile = access.certificateFile
            configuration.tls.keyFile = access.keyFile
            if let authorities = access.authorities {
                var isFolder: ObjCBool = false
                let isThere = FileManager.default.fileExists(atPath: authorities, isDirectory: &isFolder)
                if isThere, isFolder.boolValue {
                    configuration.tls.authorityFolder = authorities
                } else {
                    configuration.tls.authorityFile = authorities
                }
            }
            configuration.maxConnections = 8
            configuration.timeouts.stall = access.stall
            configuration.timeouts.whole = access.whole
            server = try Server(configuration)
            name = "\(kind) at \(configuration.url)"
        } catch let error as CouchDBError {
            throw GridError(.badInput, "\(kind): \(error.reason): \(WebAddress.shown(access.url))")
        }
    }

    /// Sends a request and collects the answer.
    ///
    /// - Parameters:
    ///   - path: Below the service's URL, percent-encoded.
    ///   - token: Shown in place of that of the file.
    package func request(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil
    ) async throws -> Response {
        let headers = try headers + proof(headers)
        do {
            return try await server.request(method, path, query: query, headers: headers, body: body)
        } catch let error as CouchDBError { throw failure(error) }
    }

    /// Sends a request and hands the answer over as it comes.
    package func stream(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil
    ) async throws -> StreamedResponse {
        let headers = try headers + proof(headers)
        do {
            return try await server.stream(method, path, query: query, headers: headers, body: body)
        } catch let error as CouchDBError { throw failure(error) }
    }

    /// Hands over the JSON values of an answer one by one; see ``JSONRecords``.
    package func records(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil, _ take: (JSON) throws -> Void
    ) async throws {
        let answer = try await stream(method, path, query: query, headers: headers, body: body)
        var records = JSONRecords()
        do {
            for try await piece in answer.body { try records.feed(piece, take) }
            try records.finish()
        } catch let error as CouchDBError {
            throw failure(error)
        } catch let fault as JSONRecords.Fault {
            throw GridError(.badAnswer, "\(name): \(method) \(path): \(fault)")
        }
    }

    /// What went wrong, with the name of the service.
    package func failure(_ error: CouchDBError) -> GridError { GridError(error, service: name) }

    private func proof(_ headers: [(String, String)]) throws -> [(String, String)] {
        guard let file = access.tokenFile, !headers.contains(where: { $0.0.lowercased() == "authorization" }) else {
            return []
        }
        return [("Authorization", "Bearer " + (try SecretText.read(file)))]
    }
}

/// A secret in a file.
package enum SecretText {
    /// The file's first line.
    package static func read(_ path: String) throws -> String {
        let text: String
        do { text = try String(contentsOf: URL(filePath: path), encoding: .utf8) } catch {
            throw GridError(.badInput, "can not read the secret in \(path): \(error.localizedDescription)")
        }
        let line = text.split(whereSeparator: \.isNewline).first.map { $0.trimmingCharacters(in: .whitespaces) } ?? ""
        guard !line.isEmpty else {
            throw GridError(.badInput, "there is no secret in \(path): its first line is empty")
        }
        return line
    }
}

/// Parts of URLs.
enum WebAddress {
    /// A URL as people may see it: without name, password and query.
    static func shown(_ url: String) -> String {
        let text = url.prefix { $0 != "?" }
        guard let scheme = text.firstRange(of: "://")?.upperBound,
            let at = text[scheme...].prefix(while: { $0 != "/" }).lastIndex(of: "@")
        else { return String(text) }
        return String(text[..<scheme] + text[text.index(after: at)...])
    }

    /// A URL in two: the server, and the path with its query.
    static func split(_ url: String) -> (server: String, path: String)? {
        guard let scheme = url.firstRange(of: "://")?.upperBound else { return nil }
        let text = url.prefix { $0 != "#" }
        let end = text[scheme...].firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        let rest = text[end...]
        return (String(text[..<end]), rest.hasPrefix("/") ? String(rest) : "/" + rest)
    }

    /// A path with its segments percent-encoded and its slashes kept.
    static func encoded(path: some StringProtocol) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { String($0).percentEncodedSegment }
            .joined(separator: "/")
    }
}
