import CouchDB
public import CouchDocument

/// Where in a document a token lies: the names of members and the numbers of elements on the way to it.
///
/// PiCaS' `NestedTokenModifier` calls it `ref`. Such tokens share a document, and with it the document's revision: whoever
/// writes one of them first wins, the others read again. For more than a few workers tokens of their own are better.
public struct NestedTokenPath: Hashable, Sendable, ExpressibleByArrayLiteral, CustomStringConvertible {
    /// One step.
    public enum Step: Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        /// A member of an object.
        case member(String)
        /// An element of an array, from 0.
        case element(Int)

        /// A member.
        public init(stringLiteral value: String) { self = .member(value) }
        /// An element.
        public init(integerLiteral value: Int) { self = .element(value) }
    }

    /// From the document down.
    public let steps: [Step]

    /// A path of these steps.
    public init(_ steps: [Step]) { self.steps = steps }

    /// A path of these steps.
    public init(arrayLiteral elements: Step...) { steps = elements }

    /// The path in the key of a view's row, as PiCaS' views emit it: the document's id, then the steps. A text is the name
    /// of a member of the document. `nil` for any other key.
    public init?(viewKey: JSON) {
        if let name = viewKey.stringValue {
            self.init([.member(name)])
            return
        }
        guard let parts = viewKey.arrayValue, parts.count > 1 else { return nil }
        var steps: [Step] = []
        for part in parts.dropFirst() {
            if let name = part.stringValue {
                steps.append(.member(name))
            } else if let index = part.intValue, index >= 0 {
                steps.append(.element(index))
            } else {
                return nil
            }
        }
        self.init(steps)
    }

    /// Such as `runs.3.token`.
    public var description: String {
        steps.map { step in
            switch step {
            case .member(let name): name
            case .element(let index): String(index)
            }
        }.joined(separator: ".")
    }

    /// The token there; `nil` when the path leads to no object.
    public func token(in record: JSONObject) -> JSONObject? {
        var value = JSON.object(record)
        for step in steps {
            let next: JSON?
            switch step {
            case .member(let name): next = value[name]
            case .element(let index): next = value[index]
            }
            guard let next else { return nil }
            value = next
        }
        return value.objectValue
    }

    /// Puts a token there, where one is already; else nothing changes.
    public func set(_ token: JSONObject, in record: inout JSONObject) {
        guard self.token(in: record) != nil else { return }
        if let fields = Self.replaced(.object(record), steps[...], .object(token)).objectValue { record = fields }
    }

    private static func replaced(_ value: JSON, _ steps: ArraySlice<Step>, _ token: JSON) -> JSON {
        guard let step = steps.first else { return token }
        let rest = steps.dropFirst()
        switch step {
        case .member(let name):
            guard var fields = value.objectValue, let inner = fields[name] else { return value }
            fields[name] = replaced(inner, rest, token)
            return .object(fields)
        case .element(let index):
            guard var elements = value.arrayValue, elements.indices.contains(index) else { return value }
            elements[index] = replaced(elements[index], rest, token)
            return .array(elements)
        }
    }
}

extension Pool {
    /// Changes a token nested in a document as it stands now, again while others change the document meanwhile.
    ///
    /// - Parameter change: Gets the nested token; returning `false` leaves the document as it is.
    /// - Returns: Whether it was changed. With a change of ``TokenModifier/lock(_:)`` `true` means that the token is ours:
    ///   two workers are never both told so.
    /// - Throws: ``PoolError/Code/noSuchToken`` when there is no such document or nothing at the path.
    @discardableResult
    public func update(
        _ path: NestedTokenPath, of id: String, _ change: (inout JSONObject) throws -> Bool
    ) async throws -> Bool {
        var isChanged = false
        _ = try await update(id) { record in
            guard var token = path.token(in: record.document.fields) else {
                throw PoolError(
                    .noSuchToken, "document \"\(id)\" has no token at \(path): see `tokenpool token show`")
            }
            isChanged = try change(&token)
            if isChanged { path.set(token, in: &record.document.fields) }
            return isChanged
        }
        return isChanged
    }
}
