import CouchDocument

/// Where a value stands in a document: names of members and positions in arrays, such as `sub.list.0`.
package struct FieldPath: Sendable {
    /// Empty: the value itself.
    let names: [String]

    init(names: [String] = []) { self.names = names }

    /// Reads `a.b`; after a backslash a dot belongs to the name.
    ///
    /// - Throws: 400 `invalid_field_name` when a name is empty (mango_util:parse_field).
    init(_ text: String) throws(StoreError) {
        var names = [""]
        var isEscaped = false
        for scalar in text.unicodeScalars {
            if scalar == "." && !isEscaped {
                names.append("")
            } else if scalar != "\\" {
                names[names.count - 1].unicodeScalars.append(scalar)
            }
            isEscaped = scalar == "\\"
        }
        if names.contains("") { throw .find("invalid_field_name", "Invalid field name: \(text)") }
        self.names = names
    }

    static func + (left: FieldPath, right: FieldPath) -> FieldPath { FieldPath(names: left.names + right.names) }

    /// The path with dots between its names, as CouchDB shows it.
    var text: String { names.joined(separator: ".") }

    /// The value there; `nil` when there is none.
    func value(in value: JSON) -> JSON? {
        var found: JSON? = value
        for name in names {
            switch found {
            case .object(let members): found = members[name]
            case .array(let elements): found = Int(name).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
            default: return nil
            }
        }
        return found
    }

    /// Puts a value there, within objects that are made as needed. What is no object on the way stays as it is.
    func set(_ value: JSON, in object: inout JSONObject) { Self.set(value, at: names[...], in: &object) }

    private static func set(_ value: JSON, at names: ArraySlice<String>, in object: inout JSONObject) {
        guard let first = names.first else { return }
        if names.count == 1 {
            object[first] = value
        } else if case .object(var inner) = object[first] ?? .object([:]) {
            set(value, at: names.dropFirst(), in: &inner)
            object[first] = .object(inner)
        }
    }

    /// Where the value stands in a document's JSON text, found without building values; `nil` when there is none.
    func range(in document: UnsafeBufferPointer<UInt8>) -> Range<Int>? {
        var cursor = JSONCursor(document)
        for name in names {
            switch cursor.peek() {
            case UInt8(ascii: "{"): guard Self.enter(&cursor, member: name) else { return nil }
            case UInt8(ascii: "["):
                guard let position = Int(name), Self.enter(&cursor, element: position) else { return nil }
            default: return nil
            }
        }
        return cursor.skipValue()
    }

    private static func enter(_ cursor: inout JSONCursor, member name: String) -> Bool {
        var scratch: [UInt8] = []
        cursor.position += 1
        while cursor.peek() == UInt8(ascii: "\"") {
            let isWanted = cursor.string(&scratch) { $0.elementsEqual(name.utf8) }
            _ = cursor.take(UInt8(ascii: ":"))
            if isWanted { return true }
            _ = cursor.skipValue()
            _ = cursor.take(UInt8(ascii: ","))
        }
        return false
    }

    private static func enter(_ cursor: inout JSONCursor, element position: Int) -> Bool {
        guard position >= 0 else { return false }
        cursor.position += 1
        for _ in 0..<position {
            if cursor.peek() == UInt8(ascii: "]") { return false }
            _ = cursor.skipValue()
            guard cursor.take(UInt8(ascii: ",")) else { return false }
        }
        return cursor.peek() != UInt8(ascii: "]")
    }
}

extension FieldPath: Hashable {
    // Names are told apart by their bytes, not by what Swift takes for the same text.
    package static func == (left: FieldPath, right: FieldPath) -> Bool {
        left.names.count == right.names.count
            && zip(left.names, right.names).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
    }

    package func hash(into hasher: inout Hasher) {
        for name in names { for unit in name.utf8 { hasher.combine(unit) } }
    }
}

extension StoreError {
    /// What CouchDB refuses in a Mango request: 400 with a word of its own (mango_error:info).
    static func find(_ word: String, _ reason: String, status: Int = 400) -> StoreError {
        StoreError(code: Code(word, status: status), reason: reason)
    }
}
