import CouchDocument

/// Cuts the body of an answer into JSON values however it is cut into pieces: a row of values with white space between
/// them (`application/x-json-stream`), each after a record separator (`application/json-seq`, RFC 7464), or the elements
/// of one list. Holds at most one value and one piece.
package struct JSONRecords {
    /// What is wrong with a body.
    package enum Fault: Error, Hashable, CustomStringConvertible {
        /// It is no such row of values.
        case malformed(String)
        /// It ended too early.
        case incomplete

        /// The fault, for people.
        package var description: String {
            switch self {
            case .malformed(let reason): "unexpected answer: \(reason)"
            case .incomplete: "the answer is cut short"
            }
        }
    }

    private enum Place { case outside, beforeElement(afterComma: Bool), afterElement, done }

    private var place = Place.outside
    private var isList = false
    private var isFirst = true
    /// A value that has begun.
    private var value: [UInt8] = []
    private var depth = 0
    private var isString = false
    private var isEscaped = false

    /// At the beginning of a body.
    package init() {}

    /// Takes a piece and hands over every value that it completes.
    package mutating func feed(_ piece: [UInt8], _ emit: (JSON) throws -> Void) throws {
        for byte in piece { try feed(byte, emit) }
    }

    /// Says that the body has ended.
    package mutating func finish() throws(Fault) {
        guard value.isEmpty else { throw .incomplete }
        switch place {
        case .outside, .done: return
        case .beforeElement, .afterElement: throw .incomplete
        }
    }

    private mutating func feed(_ byte: UInt8, _ emit: (JSON) throws -> Void) throws {
        if !value.isEmpty {
            value.append(byte)
            if isString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isString = false
                }
                return
            }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth == 0 { try end(emit) }
            case 0x1E: throw Fault.malformed("a record begins before the one before it has ended")
            default: break
            }
            return
        }
        if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 || byte == 0x1E { return }
        defer { isFirst = false }
        switch (place, byte) {
        case (.outside, UInt8(ascii: "[")) where isFirst: place = .beforeElement(afterComma: false)
        case (.outside, UInt8(ascii: "{")), (.beforeElement, UInt8(ascii: "{")):
            value = [byte]
            depth = 1
        case (.beforeElement(afterComma: false), UInt8(ascii: "]")), (.afterElement, UInt8(ascii: "]")): place = .done
        case (.afterElement, UInt8(ascii: ",")): place = .beforeElement(afterComma: true)
        default: throw Fault.malformed("\"\(Unicode.Scalar(byte))\" where an object should begin")
        }
    }

    private mutating func end(_ emit: (JSON) throws -> Void) throws {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: value) } catch { throw Fault.malformed("\(error)") }
        value.removeAll(keepingCapacity: value.capacity <= 1 << 20)
        if case .beforeElement = place { place = .afterElement }
        try emit(json)
    }
}
