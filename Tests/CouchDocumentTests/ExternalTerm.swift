import Crypto
import CouchDocument

/// The hash of a document of one integer, written out byte by byte after
/// https://www.erlang.org/doc/apps/erts/erl_ext_dist and independent of the writer under test.
enum ExternalTerm {
    /// - Parameter bytes: The integer's magnitude, lowest byte first.
    static func hash(ofMember name: String, integer bytes: [UInt8]) -> String {
        // [false, 0, 0, {[{name, integer}]}, []]
        var term: [UInt8] = [131, 108, 0, 0, 0, 5, 100, 0, 5] + Array("false".utf8) + [97, 0, 97, 0]
        term += [104, 1, 108, 0, 0, 0, 1, 104, 2, 109, 0, 0, 0, UInt8(name.utf8.count)] + Array(name.utf8)
        switch bytes.count {
        case ..<256: term += [110, UInt8(bytes.count), 0]
        default:
            let count = UInt32(bytes.count)
            term += [111] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) } + [0]
        }
        term += bytes + [106, 106, 106]
        return hexadecimal(Insecure.MD5.hash(data: term))
    }
}
