/// What names a file: a namespace and a name, written `namespace:name`.
public struct DID: Hashable, Sendable, CustomStringConvertible {
    /// The namespace. It has no colon: the first one ends it.
    public let namespace: String
    /// The name; anything, colons included.
    public let name: String

    /// A file of that namespace and name. `nil` when either is empty or the namespace has a colon.
    public init?(namespace: String, name: String) {
        guard !namespace.isEmpty, !name.isEmpty, !namespace.utf8.contains(UInt8(ascii: ":")) else { return nil }
        self.namespace = namespace
        self.name = name
    }

    /// Reads `namespace:name`. `nil` when it is not that.
    public init?(_ text: String) {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        self.init(namespace: String(text[..<colon]), name: String(text[text.utf8.index(after: colon)...]))
    }

    /// `namespace:name`.
    public var description: String { namespace + ":" + name }

    // Equal bytes are equal names: Swift takes "é" composed and decomposed for one string, documents do not.

    /// Whether both name the same file.
    public static func == (left: DID, right: DID) -> Bool {
        left.namespace.utf8.elementsEqual(right.namespace.utf8) && left.name.utf8.elementsEqual(right.name.utf8)
    }

    /// Feeds the bytes of both parts.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(Array(namespace.utf8))
        hasher.combine(Array(name.utf8))
    }
}
