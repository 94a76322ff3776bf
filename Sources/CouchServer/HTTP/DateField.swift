import Synchronization

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The `Date` of answers, written once a second.
enum DateField {
    /// Protects the text and the second that it stands for.
    private static let last = Mutex((second: 0, text: ""))

    static var now: String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        let second = time.tv_sec
        return last.withLock { last in
            if last.second != second { last = (second, HTTPDate.text(second)) }
            return last.text
        }
    }
}
