import CCurl

/// A server's URL in parts: no name or password in its description.
struct ServerAddress: Sendable, CustomStringConvertible {
    let scheme: String
    /// As in the URL; an IPv6 address in brackets.
    let host: String
    let port: String?
    /// What stands before every path; no slash at its end.
    let prefix: String
    let user: String?
    let password: Secret?

    /// Reads an `http` or `https` URL.
    init(_ text: String) throws {
        guard let handle = curl_url() else { fatalError("out of memory") }
        defer { curl_url_cleanup(handle) }
        func failure(_ reason: String) -> CouchDBError {
            CouchDBError(
                code: .badRequest, reason: "\(reason); write http(s)://[name:password@]host[:port]",
                attempted: "reading the server's URL \"\(Self.redacted(text))\"")
        }
        guard !text.utf8.contains(0), curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else {
            throw failure("it is no URL")
        }
        func part(_ part: CURLUPart, decode: Bool = false) -> String? {
            var value: UnsafeMutablePointer<CChar>?
            let flags = decode ? UInt32(CURLU_URLDECODE) : 0
            guard curl_url_get(handle, part, &value, flags) == CURLUE_OK, let value else { return nil }
            defer { curl_free(value) }
            return String(cString: value)
        }
        let scheme = part(CURLUPART_SCHEME)?.lowercased() ?? ""
        guard scheme == "http" || scheme == "https" else { throw failure("it must begin with http:// or https://") }
        guard part(CURLUPART_QUERY) == nil, part(CURLUPART_FRAGMENT) == nil else {
            throw failure("it must have no query and no fragment")
        }
        self.scheme = scheme
        host = part(CURLUPART_HOST) ?? ""
        guard !host.isEmpty else { throw failure("it names no host") }
        port = part(CURLUPART_PORT)
        var path = part(CURLUPART_PATH) ?? ""
        while path.hasSuffix("/") { path.removeLast() }
        prefix = path
        user = part(CURLUPART_USER, decode: true)
        password = part(CURLUPART_PASSWORD, decode: true).map { Secret($0) }
    }

    /// The URL without name and password.
    var description: String { scheme + "://" + authority + prefix }

    /// Host and port.
    var authority: String { host + (port.map { ":" + $0 } ?? "") }

    /// Whether somebody's `host` or `host:port` means this server.
    func isNamed(_ name: String) -> Bool {
        let name = name.lowercased()
        return name == host.lowercased() || name == authority.lowercased() || "[\(name)]" == host.lowercased()
    }

    /// What a `Location` means to who asked for that URL; `nil` when it is nothing of `http` or `https`.
    static func place(_ location: String, seenFrom url: String) -> String? {
        guard let handle = curl_url() else { fatalError("out of memory") }
        defer { curl_url_cleanup(handle) }
        var value: UnsafeMutablePointer<CChar>?
        // A path that is given relative to ours; and what should be encoded and is not.
        guard !location.utf8.contains(0), curl_url_set(handle, CURLUPART_URL, url, 0) == CURLUE_OK,
            curl_url_set(handle, CURLUPART_URL, location, UInt32(CURLU_URLENCODE)) == CURLUE_OK,
            curl_url_get(handle, CURLUPART_URL, &value, 0) == CURLUE_OK, let value
        else { return nil }
        defer { curl_free(value) }
        let text = String(cString: value)
        return text.hasPrefix("http://") || text.hasPrefix("https://") ? text : nil
    }

    /// Any text that may be a URL, without what stands before an `@`.
    static func redacted(_ text: String) -> String {
        guard let at = text.lastIndex(of: "@") else { return text }
        let start = text.firstRange(of: "://")?.upperBound ?? text.startIndex
        guard start < at else { return text }
        return text[..<start] + "…" + text[at...]
    }
}
