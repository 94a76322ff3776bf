/// How to sign in. Its description never shows a secret.
public struct Credentials: Sendable {
    enum Kind: Sendable {
        case basic(user: String, password: String)
        case cookie(user: String, password: String)
        case bearer(token: String)
        case netrc(path: String?)
    }

    let kind: Kind

    /// HTTP Basic, sent with every request without being asked.
    public static func basic(user: String, password: String) -> Credentials {
        Credentials(kind: .basic(user: user, password: password))
    }

    /// A session: `POST /_session` once, then its cookie, renewed before it expires and once after a 401.
    public static func cookie(user: String, password: String) -> Credentials {
        Credentials(kind: .cookie(user: user, password: password))
    }

    /// `Authorization: Bearer`, for CouchDB's JWT handler and for proxies.
    public static func bearer(token: String) -> Credentials { Credentials(kind: .bearer(token: token)) }

    /// Basic with what a `.netrc` file says of the server's host; `nil` is `~/.netrc`. The file is read once, when the
    /// server handle is made.
    public static func netrc(path: String? = nil) -> Credentials { Credentials(kind: .netrc(path: path)) }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The kind of sign-in, without name, password or token.
    public var description: String {
        switch kind {
        case .basic: "basic sign-in"
        case .cookie: "cookie sign-in"
        case .bearer: "bearer token"
        case .netrc(let path): "sign-in from \(path ?? "~/.netrc")"
        }
    }

    /// The same as the description.
    public var debugDescription: String { description }

    /// Nothing to reflect, so that `dump` shows no secret.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
