import Synchronization

/// A place among the long answers that are under way: each keeps a connection to the file of its index, for as long as its
/// client takes to read. Given back when nobody holds it any more.
final class LongRead: Sendable {
    /// In all databases; a connection takes two descriptors or three.
    static let most = 256
    /// Protects how many there are.
    private static let count = Mutex(0)

    private init() {}

    deinit { Self.count.withLock { $0 -= 1 } }

    /// - Throws: 503 when very many are under way already.
    static func begin() throws(StoreError) -> LongRead {
        let isTaken = count.withLock { count in
            if count >= most { return false }
            count += 1
            return true
        }
        if isTaken { return LongRead() }
        throw StoreError(
            code: .init("service_unavailable", status: 503),
            reason: "too many long answers are being sent just now: ask again, or with a limit")
    }
}
