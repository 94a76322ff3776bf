import CouchDocument

/// The members of a Mango request's body, taken out one after the other so that what is left over can be refused.
struct FindRequest {
    private var members: JSONObject

    init(_ members: JSONObject) { self.members = members }

    /// Takes a member out; `nil` when it is not there.
    mutating func take(_ name: String) -> JSON? { members.removeValue(forName: name) }

    /// Takes a member that must be there.
    mutating func require(_ name: String) throws(StoreError) -> JSON {
        guard let value = take(name) else { throw .find("missing_required_key", "Missing required key: \(name)") }
        return value
    }

    mutating func flag(_ name: String, _ fallback: Bool) throws(StoreError) -> Bool {
        guard let value = take(name) else { return fallback }
        guard let flag = value.boolValue else {
            throw .find("invalid_boolean", "Invalid boolean value: \(ErlangText.plain(value))")
        }
        return flag
    }

    mutating func count(_ name: String, _ fallback: Int) throws(StoreError) -> Int {
        guard let value = take(name) else { return fallback }
        guard let count = value.intValue, count >= 0 else {
            throw .find(
                "invalid_non_neg_integer",
                "\(ErlangText.plain(value)) is not an integer greater than or equal to zero")
        }
        return count
    }

    /// A number of copies. A single store has one, so it says nothing.
    mutating func positive(_ name: String, _ fallback: Int) throws(StoreError) -> Int {
        guard let value = take(name) else { return fallback }
        guard let count = value.intValue, count > 0 else {
            throw .find("invalid_pos_integer", "\(ErlangText.plain(value)) is not an integer greater than zero")
        }
        return count
    }

    /// A name; `nil` when none is given.
    mutating func name(_ name: String) throws(StoreError) -> String? {
        guard let value = take(name) else { return nil }
        guard let text = value.stringValue else {
            throw .find("invalid_string", "Invalid string: \(ErlangText.plain(value))")
        }
        if text.isEmpty { throw .find("invalid_empty_string", "Index name or ddoc cannot be empty string") }
        return text
    }

    /// Refuses members that nobody took.
    func end() throws(StoreError) {
        if let left = members.first { throw .find("invalid_key", "Invalid key \(left.name) for this request.") }
    }
}
