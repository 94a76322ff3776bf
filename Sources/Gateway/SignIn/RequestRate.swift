import Synchronization
import TokenPool

/// So many requests in a second of one client or user, and twenty times that at once after a pause.
///
/// What comes on top is refused with 503, upon which Data Dispatcher's clients wait and try again; 429 would end them.
final class RequestRate: Sendable {
    private struct Bucket {
        var left: Double
        var at: Timestamp
    }
    private static let capacity = 10_000
    private static let burst = 20.0
    /// Protects what each has left.
    private let buckets = Mutex<[String: Bucket]>([:])
    private let perSecond: Double

    /// - Parameter perSecond: 0 for any number.
    init(perSecond: Int) { self.perSecond = Double(perSecond) }

    func admit(_ who: String, now: Timestamp) throws(GatewayRefusal) {
        guard perSecond > 0 else { return }
        let most = perSecond * Self.burst
        let isAdmitted = buckets.withLock { buckets in
            if buckets.count >= Self.capacity, buckets[who] == nil {
                // Who has waited long enough is as good as new.
                let pause = Duration.seconds(Self.burst)
                buckets = buckets.filter { now - $0.value.at < pause }
                if buckets.count >= Self.capacity { buckets = [:] }
            }
            var bucket = buckets[who] ?? Bucket(left: most, at: now)
            let passed = max(0, (now - bucket.at) / .seconds(1))
            bucket.left = min(most, bucket.left + passed * perSecond)
            bucket.at = now
            let isAdmitted = bucket.left >= 1
            if isAdmitted { bucket.left -= 1 }
            buckets[who] = bucket
            return isAdmitted
        }
        if !isAdmitted { throw .overload("too many requests of \(who)") }
    }
}
