import CouchStore

/// Sequences as clients see them: the number, a dash, and whose number it is.
enum SequenceText {
    static func text(_ sequence: Int, of database: StoredDatabase) -> String {
        "\(sequence)-\(database.uuid.prefix(12))"
    }

    /// Reads what a client sends back; `nil` when it is no sequence. Only 0 may stand without a dash.
    static func number(_ text: String) -> Int? {
        if text == "0" { return 0 }
        guard let dash = text.firstIndex(of: "-"), let number = Int(text[..<dash]), number >= 0,
            text.index(after: dash) != text.endIndex
        else { return nil }
        return number
    }
}
