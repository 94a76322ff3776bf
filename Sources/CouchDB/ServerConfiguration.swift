public import Logging

/// Where a server is and how to talk to it.
public struct ServerConfiguration: Sendable {
    /// The server's URL without name and password, such as `https://couch.example.org:6984/prefix`.
    public let url: String
    /// How to sign in; those of the URL unless set. `nil`: not at all.
    public var credentials: Credentials?
    /// What to trust, and what to show as a client. Default: the system's authorities, no certificate.
    public var tls = TLSOptions()
    /// How long to wait for what.
    public var timeouts = Timeouts()
    /// An HTTP or SOCKS proxy by its URL. Default `nil`: what `https_proxy`, `http_proxy` and `no_proxy` say; empty: none.
    public var proxy: String?
    /// Connect to this socket file in place of the URL's host.
    public var unixSocket: String?
    /// Header fields to send with every request, before the client's own; one of them replaces the client's of that name.
    public var headers: [(name: String, value: String)] = []
    /// When to repeat a request that failed.
    public var retry = RetryPolicy()
    /// At most so many connections at once; further requests wait for one. A ``Database/changeFeed(_:)`` holds one.
    public var maxConnections = 64
    /// The server itself, when it is in this process: it is asked directly, as who it takes this client for.
    package var near: NearServer?
    /// Where to log; requests at `debug`, without secrets or bodies.
    public var logger = Logger(label: "couchdb")

    let address: ServerAddress

    /// A server at that URL. A name and password in it become Basic ``credentials`` and leave ``url``.
    ///
    /// - Throws: ``CouchDBError/badRequest`` when it is no `http` or `https` URL with a host, or has a query or fragment.
    public init(url: String) throws {
        address = try ServerAddress(url)
        self.url = address.description
        if let user = address.user {
            credentials = .basic(user: user, password: address.password?.value ?? "")
        }
    }

    /// The name and password that stood in the URL; `nil` when there was no name.
    package var namedUser: (name: String, password: String?)? {
        address.user.map { ($0, address.password?.value) }
    }
}

/// How long to wait for what, before ``CouchDBError/timedOut``.
public struct Timeouts: Sendable, Hashable {
    /// For a connection, TLS included.
    public var connect: Duration = .seconds(10)
    /// With no byte moving in either direction, waiting for the answer's first included. Whole seconds, rounded up.
    public var stall: Duration = .seconds(60)
    /// As ``stall``, for views, `_find` and `_all_docs`, which the server may have to catch up first.
    public var indexing: Duration = .seconds(600)
    /// For a whole request with its answer. Default: no limit. Not used for change feeds.
    public var whole: Duration?

    /// The default limits.
    public init() {}
}

/// What TLS trusts and shows. Verification is on.
public struct TLSOptions: Sendable, Hashable {
    /// Authorities to trust: a PEM file, in place of the system's.
    public var authorityFile: String?
    /// Authorities to trust: an OpenSSL hashed folder such as `/etc/grid-security/certificates`.
    public var authorityFolder: String?
    /// The client's certificate with its chain, PEM. An X.509 proxy is one file for this and for ``keyFile``; see
    /// ``proxyCertificate(_:)``.
    public var certificateFile: String?
    /// The client's private key, PEM.
    public var keyFile: String?
    /// The password of the private key.
    public var keyPassword: Secret?
    /// The one host whose certificate is not verified. A server at another host is verified even so.
    public var unverifiedHost: String?

    /// The system's authorities and no certificate.
    public init() {}

    /// An X.509 proxy (one PEM with certificate, key and chain, as `voms-proxy-init` writes it), and the authorities to
    /// trust.
    public static func proxyCertificate(_ path: String, authorityFolder: String? = nil) -> TLSOptions {
        var options = TLSOptions()
        options.certificateFile = path
        options.keyFile = path
        options.authorityFolder = authorityFolder
        return options
    }
}

/// A text that does not show itself in descriptions and dumps.
public struct Secret: Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible,
    CustomDebugStringConvertible,
    CustomReflectable
{
    let value: String
    /// Hides a text.
    public init(_ value: String) { self.value = value }
    /// Hides a text.
    public init(stringLiteral value: String) { self.value = value }
    /// Dots.
    public var description: String { "•••" }
    /// Dots.
    public var debugDescription: String { "•••" }
    /// Nothing to reflect.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
