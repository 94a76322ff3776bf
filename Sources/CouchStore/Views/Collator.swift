import CICU

/// ICU's collator of the root locale, opened once for the process.
///
/// `@unchecked Sendable`: the pointer never changes, and ICU promises that a collator which nobody configures may be used
/// by several threads at once; nobody configures this one.
struct Collator: @unchecked Sendable {
    private let collator: OpaquePointer

    static let root = Collator()

    private init() {
        var reason: UnsafePointer<CChar>?
        guard let opened = tp_collator_open(&reason) else {
            let text = reason.map { String(cString: $0) } ?? "unknown reason"
            fatalError("ICU has no root collator (\(text)); install ICU's data (libicu72 on Debian 12)")
        }
        collator = opened
    }

    /// The version of the collation data: keys of another version can not be compared with ours.
    var version: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { buffer in
            tp_collator_version(collator, buffer.baseAddress)
            return String(cString: buffer.baseAddress!)
        }
    }

    /// Adds the sort key of UTF-8 text, its closing zero byte included (there is no other zero byte in it).
    func appendSortKey(of text: UnsafeBufferPointer<UInt8>, to key: inout [UInt8]) {
        var room = text.count * 3 + 16
        while true {
            let needed = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: room) { buffer -> Int in
                let length = text.withMemoryRebound(to: CChar.self) { characters in
                    // ICU takes no null pointer, not even with length 0.
                    var none: CChar = 0
                    return withUnsafePointer(to: &none) { empty in
                        tp_collator_sort_key(
                            collator, characters.baseAddress ?? empty, Int32(characters.count), buffer.baseAddress,
                            Int32(room))
                    }
                }
                if length >= 0 && length <= room {
                    key.append(contentsOf: UnsafeBufferPointer(rebasing: buffer[0..<Int(length)]))
                }
                return Int(length)
            }
            if needed <= room { return }
            room = needed
        }
    }
}
