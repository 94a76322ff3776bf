/// The members of a JSON object, in order.
///
/// Setting a name that exists replaces the value and keeps its place. Finding a member is a scan in small objects and a
/// hash look-up in large ones.
public struct JSONObject: Sendable {
    /// A name and its value.
    public typealias Member = (name: String, value: JSON)

    private var storage: [Member] = []
    /// Name → position, kept once a scan would cost more than a hash.
    private var positions: [MemberName: Int]?
    private static let scanLimit = 16

    /// An object without members.
    public init() {}

    /// An object of these members, in this order. A repeated name keeps its last value and its last place, as CouchDB
    /// does with `{"a":1,"b":2,"a":3}`.
    public init(_ members: some Sequence<(String, JSON)>) {
        self.init(lastOf: members.map { (name: $0.0, value: $0.1) })
    }

    /// The same for members that are gathered already. Costs one pass, however often names are repeated.
    init(lastOf members: [Member]) {
        if members.count <= Self.scanLimit {
            storage.reserveCapacity(members.count)
            for (name, value) in members {
                if position(of: name) != nil { removeValue(forName: name) }
                storage.append((name, value))
            }
            return
        }
        var last: [MemberName: Int] = [:]
        last.reserveCapacity(members.count)
        for (position, member) in members.enumerated() { last[MemberName(member.name)] = position }
        if last.count == members.count {
            storage = members
            positions = last
            return
        }
        storage = last.values.sorted().map { members[$0] }
        if storage.count > Self.scanLimit { notePositions() }
    }

    private mutating func append(_ name: String, _ value: JSON) {
        positions?[MemberName(name)] = storage.count
        storage.append((name, value))
        if positions == nil && storage.count > Self.scanLimit { notePositions() }
    }

    private mutating func notePositions() {
        positions = Dictionary(
            uniqueKeysWithValues: storage.enumerated().map { (MemberName($0.element.name), $0.offset) })
    }

    private func position(of name: String) -> Int? {
        if let positions { return positions[MemberName(name)] }
        // Equal bytes are equal strings, not the other way round; the quick look comes first.
        return storage.firstIndex { $0.name == name && $0.name.utf8.elementsEqual(name.utf8) }
    }

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
        try storage.removeAll(where: condition)
        if positions != nil { notePositions() }
    }

    /// Takes over every member of the other object; its values win.
    public mutating func merge(_ other: JSONObject) {
        for (name, value) in other { self[name] = value }
    }
}

extension JSONObject: RandomAccessCollection {
    /// The position of the first member.
    public var startIndex: Int { 0 }
    /// The position after the last member.
    public var endIndex: Int { storage.count }
    /// The member at a position.
    public subscript(position: Int) -> Member { storage[position] }
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
        for (name, value) in storage {
            hasher.combine(MemberName(name))
            hasher.combine(value)
        }
    }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object with its members in the order written. A repeated name keeps its last value.
    public init(dictionaryLiteral elements: (String, JSON)...) { self.init(elements) }
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
