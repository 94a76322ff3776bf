import CouchDocument
import Synchronization

/// Makes ids as CouchDB's default does: 26 random hex digits that stay for a while, then 6 that rise. Documents written
/// with such ids land next to each other on disk.
package final class UUIDs: Sendable {
    private struct State {
        var prefix = ""
        var counter = UInt32.max
    }
    /// Protects prefix and counter, so that no id is given twice.
    private let state = Mutex(State())

    package init() {}

    package func next() -> String {
        state.withLock { state in
            if state.counter > 0xFFF000 {
                state.prefix = String(hexadecimal((0..<13).map { _ in UInt8.random(in: 0...255) }))
                state.counter = UInt32.random(in: 0..<0xFFE)
            } else {
                state.counter += UInt32.random(in: 1..<0xFFE)
            }
            let digits = String(state.counter, radix: 16)
            return state.prefix + String(repeating: "0", count: 6 - digits.count) + digits
        }
    }
}
