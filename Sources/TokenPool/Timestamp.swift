import CouchDocument

/// A moment: milliseconds since 1970, as precise as the documents need it.
public struct Timestamp: Hashable, Sendable {
    /// Milliseconds since 1970.
    public let milliseconds: Int

    /// A moment so many milliseconds after 1970 began.
    public init(milliseconds: Int) { self.milliseconds = milliseconds }

    /// A moment so many seconds after 1970 began.
    public init(seconds: Int) { milliseconds = seconds * 1000 }

    /// Reads seconds since 1970, whole or not. `nil` when the value is no number or beyond any calendar.
    public init?(_ json: JSON?) {
        guard let value = json?.numberValue, abs(value) < 1e14 else { return nil }
        milliseconds = Int((value * 1000).rounded())
    }

    /// Whole seconds since 1970, as `lock` and `done` hold them.
    public var seconds: Int {
        let (quotient, remainder) = milliseconds.quotientAndRemainder(dividingBy: 1000)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// Seconds since 1970 as a number: an integer when there are no milliseconds.
    public var json: JSON {
        milliseconds % 1000 == 0
            ? .integer(milliseconds / 1000)
            : JSON.double(Double(milliseconds) / 1000) ?? .integer(seconds)
    }
}

extension Timestamp: Comparable {
    /// Earlier before later.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment so much later.
    public static func + (left: Timestamp, right: Duration) -> Timestamp {
        Timestamp(milliseconds: left.milliseconds + right.wholeMilliseconds)
    }

    /// The moment so much earlier.
    public static func - (left: Timestamp, right: Duration) -> Timestamp {
        Timestamp(milliseconds: left.milliseconds - right.wholeMilliseconds)
    }

    /// The time from the right moment to the left one.
    public static func - (left: Timestamp, right: Timestamp) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }
}

extension Duration {
    /// The length in milliseconds, what is finer cut off.
    public var wholeMilliseconds: Int {
        Int(components.seconds) * 1000 + Int(components.attoseconds / 1_000_000_000_000_000)
    }
}
