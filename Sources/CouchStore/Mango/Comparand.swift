import CouchDocument

/// A value that others are compared with in the order of views, with its collation key worked out once.
package struct Comparand: Sendable {
    let value: JSON
    let key: [UInt8]

    init(_ value: JSON) {
        self.value = value
        key = CollationKey.bytes(for: value)
    }

    /// Below zero when the other value comes before this one, zero when they are equal, above when it comes after.
    func order(of other: JSON) -> Int {
        switch (other, value) {
        case (.integer(let left), .integer(let right))
        where left.magnitude < 1 << 53 && right.magnitude < 1 << 53:
            return left < right ? -1 : left == right ? 0 : 1
        case (.string(let left), .string(let right)) where left.utf8.elementsEqual(right.utf8): return 0
        default: return Self.order(CollationKey.bytes(for: other), key)
        }
    }

    func order(of other: Comparand) -> Int { Self.order(other.key, key) }

    private static func order(_ left: [UInt8], _ right: [UInt8]) -> Int {
        if left == right { return 0 }
        return left.lexicographicallyPrecedes(right) ? -1 : 1
    }
}
