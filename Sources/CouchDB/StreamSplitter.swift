import CouchDocument

/// Cuts a stream of bytes into JSON values by their structure, however the bytes are cut into pieces.
///
/// Either the stream is one object, of which one array is handed over element by element (views, `_changes`); or it is a
/// row of values with white space between them (`_changes` continuous). It holds at most one element and one piece.
struct StreamSplitter {
    /// What can be wrong with a stream.
    enum Fault: Error {
        /// It is not JSON of the expected form.
        case malformed(String)
        /// It ended too early.
        case incomplete
        /// It broke off with an error object of the server.
        case refused(JSONObject)
    }

    private enum Place {
        /// Before the object's brace, or between values of a row.
        case outside
        /// In the object, before a member's name; `true` after a comma.
        case beforeName(afterComma: Bool)
        case beforeColon
        case beforeValue
        case afterValue
        /// In the array; `true` after a comma.
        case beforeElement(afterComma: Bool)
        case afterElement
        case done
    }

    private let array: String?
    private var place = Place.outside
    private var name = ""
    /// Bytes of a value that has begun and not ended, or nothing.
    private var carried: [UInt8] = []
    private var scan: ValueScan?
    /// The members that are not the array.
    private(set) var members: JSONObject = [:]
    private var hasSeenArray = false

    init(array: String?) { self.array = array }

    /// Takes a piece and hands over every element that it completes.
    mutating func feed(_ piece: [UInt8], _ emit: (JSON) -> Void) throws(Fault) {
        var result: Result<Void, Fault> = .success(())
        piece.withUnsafeBufferPointer { bytes in
            result = Result { () throws(Fault) in try feed(bytes, emit) }
        }
        try result.get()
    }

    /// Says that the stream has ended.
    func finish() throws(Fault) {
        switch place {
        case .done: return
        case .outside where array == nil && scan == nil: return
        default: throw .incomplete
        }
    }

    private mutating func feed(_ bytes: UnsafeBufferPointer<UInt8>, _ emit: (JSON) -> Void) throws(Fault) {
        var position = 0
        while position < bytes.count {
            if scan != nil {
                position = try continueValue(bytes, from: position, emit)
                continue
            }
            let byte = bytes[position]
            if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                position += 1
                continue
            }
            if beginsValue(byte) {
                scan = ValueScan(first: byte)
                continue
            }
            try punctuation(byte)
            position += 1
        }
    }

    /// Whether a value (or a name) begins here; otherwise the byte is punctuation.
    private func beginsValue(_ byte: UInt8) -> Bool {
        switch place {
        case .outside: array == nil
        case .beforeName: byte == UInt8(ascii: "\"")
        case .beforeValue: !(name == array && byte == UInt8(ascii: "["))
        case .beforeElement(let afterComma): afterComma || byte != UInt8(ascii: "]")
        // An error object in place of a comma or bracket.
        case .afterElement: byte == UInt8(ascii: "{")
        default: false
        }
    }

    private mutating func continueValue(
        _ bytes: UnsafeBufferPointer<UInt8>, from start: Int, _ emit: (JSON) -> Void
    ) throws(Fault) -> Int {
        guard let end = scan?.advance(bytes, from: start) else {
            carried.append(contentsOf: UnsafeBufferPointer(rebasing: bytes[start...]))
            return bytes.count
        }
        scan = nil
        let piece = UnsafeBufferPointer(rebasing: bytes[start..<end])
        let value: JSON
        do throws(JSONError) {
            if carried.isEmpty {
                value = try JSON(parsing: piece)
            } else {
                carried.append(contentsOf: piece)
                value = try JSON(parsing: carried)
                carried.removeAll(keepingCapacity: carried.capacity <= 1 << 20)
            }
        } catch {
            throw .malformed(error.description)
        }
        try take(value, emit)
        return end
    }

    private mutating func take(_ value: JSON, _ emit: (JSON) -> Void) throws(Fault) {
        switch place {
        case .outside: emit(value)
        case .beforeName:
            name = value.stringValue ?? ""
            place = .beforeColon
        case .beforeValue:
            members[name] = value
            place = .afterValue
        case .beforeElement:
            emit(value)
            place = .afterElement
        default:
            guard let fields = value.objectValue, fields["error"] != nil else {
                throw .malformed("a value where a comma or bracket should be")
            }
            throw .refused(fields)
        }
    }

    private mutating func punctuation(_ byte: UInt8) throws(Fault) {
        switch (place, byte) {
        case (.outside, UInt8(ascii: "{")): place = .beforeName(afterComma: false)
        case (.beforeName(afterComma: false), UInt8(ascii: "}")), (.afterValue, UInt8(ascii: "}")):
            if let fields = refusal { throw .refused(fields) }
            if !hasSeenArray { throw .malformed("it has no \(array ?? "")") }
            place = .done
        case (.beforeColon, UInt8(ascii: ":")): place = .beforeValue
        case (.beforeValue, UInt8(ascii: "[")):
            hasSeenArray = true
            place = .beforeElement(afterComma: false)
        case (.afterValue, UInt8(ascii: ",")): place = .beforeName(afterComma: true)
        case (.beforeElement(afterComma: false), UInt8(ascii: "]")), (.afterElement, UInt8(ascii: "]")):
            place = .afterValue
        case (.afterElement, UInt8(ascii: ",")): place = .beforeElement(afterComma: true)
        default: throw .malformed("\"\(Unicode.Scalar(byte))\" where it can not be")
        }
    }

    /// An object that is not rows but an error, with status 200.
    private var refusal: JSONObject? { !hasSeenArray && members["error"] != nil ? members : nil }
}

/// Finds the end of one JSON value, byte by byte. It does not check the grammar: the parser does.
struct ValueScan {
    private var depth = 0
    private var isString = false
    private var isEscaped = false
    /// A number or a word ends at what follows it.
    private let isBare: Bool

    init(first: UInt8) {
        isBare = first != UInt8(ascii: "{") && first != UInt8(ascii: "[") && first != UInt8(ascii: "\"")
    }

    /// The position after the value's last byte; `nil` when it goes on in the next piece.
    mutating func advance(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int? {
        var position = start
        if isBare {
            while position < bytes.count {
                switch bytes[position] {
                case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x20, 0x0A, 0x0D, 0x09:
                    // An empty value is the parser's to refuse.
                    return position
                default: position += 1
                }
            }
            return nil
        }
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isString = false
                    if depth == 0 { return position }
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth <= 0 { return position }
            default: break
            }
        }
        return nil
    }
}
