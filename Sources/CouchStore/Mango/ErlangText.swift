import CouchDocument

/// JSON as Erlang prints its terms: CouchDB's reasons hold such texts.
enum ErlangText {
    /// As `~w` prints it: a string is the numbers of its bytes.
    static func plain(_ value: JSON) -> String {
        text(value) { "<<" + $0.utf8.map(String.init).joined(separator: ",") + ">>" }
    }

    /// As `~p` prints it: a string is readable.
    static func readable(_ value: JSON) -> String {
        text(value) { text in
            if text.isEmpty { return "<<>>" }
            let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
            return "<<\"\(escaped)\"" + (text.utf8.allSatisfy { $0 < 128 } ? ">>" : "/utf8>>")
        }
    }

    private static func text(_ value: JSON, string: (String) -> String) -> String {
        switch value {
        case .string(let text): string(text)
        case .array(let elements): "[" + elements.map { self.text($0, string: string) }.joined(separator: ",") + "]"
        case .object(let members):
            "{[" + members.map { "{\(string($0.name)),\(text($0.value, string: string))}" }.joined(separator: ",")
                + "]}"
        case .null, .bool, .integer, .decimal: value.description
        }
    }
}
