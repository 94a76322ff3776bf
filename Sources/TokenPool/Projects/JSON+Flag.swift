import CouchDocument

extension JSON {
    /// A yes or no in any spelling: booleans, words in any case, numbers. `nil` for null.
    ///
    /// The original takes words for true whatever they say (`virtual=False`), and booleans for false
    /// (`retry_on_timeout=true`).
    var looseFlag: Bool? {
        switch self {
        case .null: nil
        case .bool(let flag): flag
        case .string(let text): !["", "false", "no", "off", "0", "none", "null"].contains(text.lowercased())
        case .integer(let number): number != 0
        case .decimal(let number): number.doubleValue != 0
        case .array(let elements): !elements.isEmpty
        case .object(let members): !members.isEmpty
        }
    }
}
