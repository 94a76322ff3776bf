/// The members of a JSON object, in order.
///
/// Setting a name that exists replaces the value and keeps its place. Finding a member is a scan in small objects and a
/// hash look-up in large ones.
public struct JSONObject: Sendable {
    /// A name and its value.
    public typealias Member = (name: String, value: JSON)

    /// A member as it is kept. A struct rather than a tuple, whose arrays the runtime copies and frees by looking up what it is.
    struct Entry: Sendable {
        var name: String
        var value: JSON
    }

    private var storage: [Entry] = []
    /// Name → position, kept once a scan would cost more than a hash.
    private var positions: [MemberName: Int]?
    private static let scanLimit = 16

    /// An object without members.
    public init() {}

    /// An object of these members, in this order. A repeated name keeps its last value and its last place, as CouchDB
    /// does with `{"a":1,"b":2,"a":3}`.
    public init(_ members: some Sequence<(String, JSON)>) {
        self.init(lastOf: members.map { Entry(name: $0.0, value: $0.1) })
    }

    /// The same for members that are gathered already. Costs one pass, however often names are repeated.
    init(lastOf entries: [Entry]) {
        if entries.count <= Self.scanLimit {
            storage = entries
            if !hasRepeatedName { return }
            storage.removeAll(keepingCapacity: true)
            for entry in entries {
                if position(of: entry.name) != nil { removeValue(forName: entry.name) }
                storage.append(entry)
            }
            return
        }
        var last: [MemberName: Int] = [:]
        last.reserveCapacity(entries.count)
        for (position, entry) in entries.enumerated() { last[MemberName(entry.name)] = position }
        if last.count == entries.count {
            storage = entries
            positions = last
            return
        }
        storage = last.values.sorted().map { entries[$0] }
        if storage.count > Self.scanLimit { notePositions() }
    }

    /// For few members: whether two have the same name.
    private var hasRepeatedName: Bool {
        storage.indices.contains { position in
            storage[..<position].contains { Self.isSame($0.name, storage[position].name) }
        }
    }

    private static func isSame(_ left: String, _ right: String) -> Bool {
        // Equal bytes are equal strings, not the other way round; the quick look comes first.
        left == right && left.utf8.elementsEqual(right.utf8)
    }

    private mutating func append(_ name: String, _ value: JSON) {
        positions?[MemberName(name)] = storage.count
        storage.append(Entry(name: name, value: value))
        if positions == nil && storage.count > Self.scanLimit { notePositions() }
    }

    private mutating func notePositions() {
        positions = Dictionary(
            uniqueKeysWithValues: storage.enumerated().map { (MemberName($0.element.name), $0.offset) })
    }

    private func position(of name: String) -> Int? {
        if let positions { return positions[MemberName(name)] }
        return storage.firstIndex { Self.isSame($0.name, name) }
    }

    /// The members as they are kept, for those here who go through them all.
    var entries: [Entry] { storage }

    /// The number of members.
    public var count: Int { storage.count }
    /// Whether there are no members.
    public var isEmpty: Bool { storage.isEmpty }
    /// The names, in order.
    public var names: [String] { storage.map(\.name) }

    /// The value of that name. Setting `nil` removes the member; setting a new name adds it at the end.
    public subscript(name: String) -> JSON? {
        get { position(of: name).map { storage[$0].value } }
        set {
            guard let newValue else {
                removeValue(forName: name)
                return
            }
            if let position = position(of: name) {
                storage[position].value = newValue
            } else {
                append(name, newValue)
            }
        }
    }

    /// The value of that name, or a default to read and to change in place.
    public subscript(name: String, default fallback: @autoclosure () -> JSON) -> JSON {
        get { self[name] ?? fallback() }
        set { self[name] = newValue }
    }

    /// Removes the member of that name and answers its value.
    @discardableResult
    public mutating func removeValue(forName name: String) -> JSON? {
        guard let position = position(of: name) else { return nil }
        let value = storage.remove(at: position).value
        if positions != nil { notePositions() }
        return value
    }

    /// Removes the members of which the condition is true.
    public mutating func removeAll(where condition: (Member) throws -> Bool) rethrows {
        try storage.removeAll { try condition(($0.name, $0.value)) }
        if positions != nil { notePositions() }
    }

    /// The members whose names fulfil the condition, in order, and the others.
    public func parted(by condition: (String) -> Bool) -> (those: [Member], others: JSONObject) {
        var those: [Member] = []
        var others: [Entry] = []
        others.reserveCapacity(storage.count)
        for entry in storage {
            if condition(entry.name) { those.append((entry.name, entry.value)) } else { others.append(entry) }
        }
        var rest = JSONObject()
        rest.storage = others
        if others.count > Self.scanLimit { rest.notePositions() }
        return (those, rest)
    }

    /// Takes over every member of the other object; its values win.
    public mutating func merge(_ other: JSONObject) {
        if storage.isEmpty {
            self = other
            return
        }
        storage.reserveCapacity(storage.count + other.storage.count)
        for entry in other.storage { self[entry.name] = entry.value }
    }
}

extension JSONObject: RandomAccessCollection {
    /// The position of the first member.
    public var startIndex: Int { 0 }
    /// The position after the last member.
    public var endIndex: Int { storage.count }
    /// The member at a position.
    public subscript(position: Int) -> Member { (storage[position].name, storage[position].value) }
}

extension JSONObject: Hashable {
    /// Equal when the same members stand in the same order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.storage.count == right.storage.count
            && zip(left.storage, right.storage).allSatisfy {
                $0.name.utf8.elementsEqual($1.name.utf8) && $0.value == $1.value
            }
    }

    /// Feeds names and values in order.
    public func hash(into hasher: inout Hasher) {
        for entry in storage {
            hasher.combine(MemberName(entry.name))
            hasher.combine(entry.value)
        }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object with its members in the order written. A repeated name keeps its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(lastOf: elements.map { Entry(name: $0.0, value: $0.1) })
    }
}

extension JSONObject: CustomStringConvertible {
    /// The object as compact JSON text.
    public var description: String { JSON.object(self).description }
}

/// A name that is equal to another when their bytes are: Swift takes "é" composed and decomposed for one string, JSON does
/// not.
private struct MemberName: Hashable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: MemberName, right: MemberName) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
