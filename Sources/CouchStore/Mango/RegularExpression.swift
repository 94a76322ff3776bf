import CICU
import Synchronization

/// A regular expression of ICU, which is close to Perl's as CouchDB's are. One that does not come to an end is given up, and
/// then does not match.
package final class RegularExpression: Sendable {
    let text: String
    /// Protects the compiled expression, in which ICU keeps the state of a search.
    private let compiled: Mutex<Compiled>

    private struct Compiled: ~Copyable, @unchecked Sendable {
        // Only touched within the mutex; nothing else knows the pointer.
        let pointer: OpaquePointer
        deinit { tp_regex_close(pointer) }
    }

    /// `nil`: the text is no regular expression.
    init?(_ text: String) {
        let opened = Array(text.utf8).withUnsafeBytes {
            tp_regex_open($0.bindMemory(to: CChar.self).baseAddress, Int32($0.count))
        }
        guard let opened else { return nil }
        self.text = text
        compiled = Mutex(Compiled(pointer: opened))
    }

    /// Whether it is found anywhere in the text.
    func matches(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            compiled.withLock { compiled in
                bytes.withMemoryRebound(to: CChar.self) {
                    tp_regex_matches(compiled.pointer, $0.baseAddress, Int32(clamping: $0.count))
                }
            }
        }
    }
}
