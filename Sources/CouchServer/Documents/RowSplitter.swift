import CouchDocument

/// Cuts a JSON object that comes in pieces into the rows of one of its arrays and the rest: `{"docs":[…],"new_edits":false}`
/// into each document's text and `{"docs":[],"new_edits":false}`.
///
/// It looks at brackets, commas and strings only. Whoever parses every row and the rest has checked the whole: they are all
/// well-formed if, and only if, the object is.
struct RowSplitter {
    private enum Place {
        /// Outside the array.
        case around
        /// Behind the array's name at the first level, and behind the colon after it.
        case named, announced
        /// In the array.
        case inside
    }

    private let name: [UInt8]
    private var place = Place.around
    private var depth = 0
    private var isInString = false
    private var isEscaped = false
    /// The string at the first level that is being read, as far as it can be the name.
    private var string: [UInt8] = []
    /// The object with the array empty.
    private(set) var rest: [UInt8] = []
    /// Rows one after the other; at its end may stand one that goes on.
    private var text: [UInt8] = []
    private var ends: [Int] = []
    private var rowsInArray = 0
    /// How many times the array began.
    private(set) var arrayCount = 0

    /// - Parameter name: The array's member name, of ASCII letters. One that is written with escapes stays with the rest.
    init(_ name: String) { self.name = Array(name.utf8) }

    /// Takes in the next bytes.
    mutating func push(_ bytes: UnsafeRawBufferPointer) {
        var position = 0
        while position < bytes.count {
            if place != .inside {
                take(bytes[position])
                position += 1
                continue
            }
            let start = position
            position = endOfRow(bytes, from: start)
            text.append(contentsOf: bytes[start..<position])
            guard position < bytes.count else { return }
            endRow(isLast: bytes[position] == UInt8(ascii: "]"))
            // The comma goes; what ends the array is of the rest.
            if bytes[position] != UInt8(ascii: ",") { take(bytes[position]) }
            position += 1
        }
    }

    /// Where the comma or bracket stands that ends the row; behind the bytes when the row goes on.
    private mutating func endOfRow(_ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        var position = start
        var (depth, isInString, isEscaped) = (depth, isInString, isEscaped)
        defer { (self.depth, self.isInString, self.isEscaped) = (depth, isInString, isEscaped) }
        let units = bytes.assumingMemoryBound(to: UInt8.self)
        while position < units.count {
            if isInString && !isEscaped {
                _ = JSONText.skipPlain(units, &position)
                guard position < units.count else { break }
            }
            let byte = units[position]
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
            } else {
                switch byte {
                case UInt8(ascii: "\""): isInString = true
                case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
                case UInt8(ascii: ",") where depth == 2: return position
                case UInt8(ascii: "}"), UInt8(ascii: "]"):
                    if depth == 2 { return position }
                    depth -= 1
                default: break
                }
            }
            position += 1
        }
        return position
    }

    private mutating func endRow(isLast: Bool) {
        let start = ends.last ?? 0
        // An array of nothing but white space has no rows; a comma with nothing beside it is a row that does not parse.
        if isLast, rowsInArray == 0, text[start...].allSatisfy(Self.isSpace) {
            text.removeSubrange(start...)
            return
        }
        rowsInArray += 1
        ends.append(text.count)
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }

    /// Takes a byte of the rest.
    private mutating func take(_ byte: UInt8) {
        rest.append(byte)
        if isInString {
            if isEscaped {
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
                string.append(byte)
            } else if byte == UInt8(ascii: "\"") {
                isInString = false
                if depth == 1 && string == name { place = .named }
            } else if string.count <= name.count {
                string.append(byte)
            }
            return
        }
        if Self.isSpace(byte) { return }
        if place == .announced && byte == UInt8(ascii: "[") {
            depth += 1
            place = .inside
            arrayCount += 1
            rowsInArray = 0
            return
        }
        place = place == .named && byte == UInt8(ascii: ":") ? .announced : .around
        switch byte {
        case UInt8(ascii: "\""):
            isInString = true
            string.removeAll(keepingCapacity: true)
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
        default: break
        }
    }

    /// Whether a row came to its end.
    var hasRows: Bool { !ends.isEmpty }

    /// Bytes of rows that are here.
    var size: Int { text.count }

    /// Hands out the complete rows: their texts one after the other, and where each ends.
    mutating func takeRows() -> (text: [UInt8], ends: [Int]) {
        let end = ends.last ?? 0
        defer { ends = [] }
        if end == text.count {
            defer { text = [] }
            return (text, ends)
        }
        defer { text.removeSubrange(..<end) }
        return (Array(text[..<end]), ends)
    }
}
