import CouchDB

/// A file on a web server that is no CouchDB, such as a WebDAV door of a storage system: written with `PUT`, read with `GET`.
///
/// Redirects are followed, as doors of dCache need it: they answer with the URL of the node that has the disk, and a token
/// in it that admits to that one file. As with curl, name and password go to the first scheme, host and port alone, unless
/// a redirect brings its own.
package struct WebFile: Sendable {
    private let url: String
    /// More lead nowhere.
    private static let mostRedirects = 10

    /// - Parameter url: `http(s)://[name:password@]host[:port]/path`, percent-encoded.
    package init(url: String) { self.url = url }

    /// The URL as people may see it: without name, password and query.
    package var shown: String {
        let text = url.prefix { $0 != "?" }
        guard let scheme = text.firstRange(of: "://")?.upperBound,
            let at = text[scheme...].prefix(while: { $0 != "/" }).lastIndex(of: "@")
        else { return String(text) }
        return String(text[..<scheme] + text[text.index(after: at)...])
    }

    /// Writes a file there. The folders that it lies in are made where they are missing.
    package func put(file: String, contentType: String) async throws {
        func write(_ server: Server, _ path: String) async throws {
            _ = try await server.request("PUT", path, headers: [("Content-Type", contentType)], body: .file(path: file))
        }
        do {
            try await following([301, 302, 307, 308], write)
        } catch let error as CouchDBError where error.code == .conflict || error.code == .notFound {
            try await makeCollections()
            try await following([301, 302, 307, 308], write)
        }
    }

    /// Reads it, piece by piece.
    package func get(_ use: ([UInt8]) throws -> Void) async throws {
        try await following([301, 302, 303, 307, 308]) { server, path in
            for try await piece in try await server.stream("GET", path, headers: [("Accept", "*/*")]).body {
                try use(piece)
            }
        }
    }

    /// Asks, and asks again where the answer says; each server is let go when it has answered.
    ///
    /// - Parameter statuses: Redirects that leave the request what it is.
    private func following(
        _ statuses: Set<Int>, _ request: (Server, _ path: String) async throws -> Void
    ) async throws {
        var configuration = try ServerConfiguration(url: WebAddress(url).server)
        let (origin, credentials) = (configuration.url, configuration.credentials)
        var path = try WebAddress(url).path
        for _ in 0...Self.mostRedirects {
            let server = try Server(configuration)
            do {
                try await request(server, path)
                await server.shutdown()
                return
            } catch let error as CouchDBError {
                await server.shutdown()
                guard let place = error.location, let status = error.status, statuses.contains(status) else {
                    throw error
                }
                let next = try WebAddress(place)
                configuration = try ServerConfiguration(url: next.server)
                if configuration.url == origin, configuration.credentials == nil {
                    configuration.credentials = credentials
                }
                path = next.path
            } catch {
                await server.shutdown()
                throw error
            }
        }
        throw CouchDBError(
            code: .badAnswer, reason: "redirected more than \(Self.mostRedirects) times", attempted: origin)
    }

    /// WebDAV takes a file only into a collection that is there (RFC 4918, 9.7.1: 409); its parents are made one by one.
    private func makeCollections() async throws {
        let address = try WebAddress(url)
        let server = try Server(url: address.server)
        do {
            let parts = address.path.prefix { $0 != "?" }.split(separator: "/").dropLast()
            for count in 1...max(parts.count, 1) where count <= parts.count {
                do {
                    _ = try await server.request("MKCOL", "/" + parts.prefix(count).joined(separator: "/"))
                } catch let error as CouchDBError
                    where error.status == 405 || error.status == 403 || error.status == 401
                {
                    // It is there already, or not ours to make; when one is missing all the same, the file's PUT says so.
                }
            }
            await server.shutdown()
        } catch {
            await server.shutdown()
            throw error
        }
    }
}

/// A URL in two: the server, and what it is asked for.
private struct WebAddress {
    /// With name and password.
    let server: String
    /// With the query.
    let path: String

    init(_ url: String) throws {
        guard let scheme = url.firstRange(of: "://")?.upperBound else {
            throw PoolError(.badInput, "\"\(url)\" is no URL")
        }
        let text = url.prefix { $0 != "#" }
        let end = text[scheme...].firstIndex { $0 == "/" || $0 == "?" } ?? text.endIndex
        server = String(text[..<end])
        let rest = text[end...]
        path = rest.hasPrefix("/") ? String(rest) : "/" + rest
    }
}
