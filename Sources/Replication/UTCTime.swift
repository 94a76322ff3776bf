#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A moment as the pages of replication write it.
struct UTCTime: Sendable, Hashable {
    /// Since 1970.
    let seconds: Int

    private var parts: tm {
        var parts = tm()
        var time = time_t(seconds)
        gmtime_r(&time, &parts)
        return parts
    }

    private static func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }

    private static func clock(_ parts: tm) -> String {
        "\(padded(parts.tm_hour)):\(padded(parts.tm_min)):\(padded(parts.tm_sec))"
    }

    /// `2026-11-21T07:39:58Z`, as in `_scheduler`.
    var iso8601: String {
        let parts = parts
        let date = "\(parts.tm_year + 1900)-\(Self.padded(parts.tm_mon + 1))-\(Self.padded(parts.tm_mday))"
        return "\(date)T\(Self.clock(parts))Z"
    }

    /// `Sat, 21 Nov 2026 07:39:58 GMT`, as in checkpoints.
    var http: String {
        let parts = parts
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let date = "\(Self.padded(parts.tm_mday)) \(months[Int(parts.tm_mon)]) \(parts.tm_year + 1900)"
        return "\(days[Int(parts.tm_wday)]), \(date) \(Self.clock(parts)) GMT"
    }
}
