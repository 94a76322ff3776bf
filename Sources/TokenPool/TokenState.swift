import CouchDocument

/// Where a token stands. `lock` and `done` say it, and `exit_code` for those that ended.
public enum TokenState: String, Hashable, Sendable, CaseIterable {
    /// Free: lock = 0, done = 0.
    case todo
    /// Not yet due (`pool.not_before`, `pool.after`, `pool.hold`): lock = −2, done = 0.
    case waiting
    /// Held by a worker: lock > 0, done = 0.
    case locked
    /// Ended well: done > 0 and exit code 0.
    case done
    /// Ended badly, PiCaS' 99/99 and the GRID_LRT launcher's −1/−1 included.
    case error
}

extension TokenState {
    /// The lock of a token that is not yet due.
    public static let waitingLock = -2
    /// The lock and done of a token that PiCaS' `set_error` gave up.
    public static let picasErrorMark = 99

    /// Reads the state from the three fields as JavaScript views compare them, so that it agrees with the views.
    ///
    /// A document without a number in `lock` or `done` is in none of the views; it counts as an error here.
    public init(lock: JSON?, done: JSON?, exitCode: JSON?) {
        guard let lock = lock.flatMap(Self.looseNumber), let done = done.flatMap(Self.looseNumber) else {
            self = .error
            return
        }
        if done == 0 {
            self =
                switch lock {
                case 0: .todo
                case Double(Self.waitingLock): .waiting
                case let lock where lock > 0: .locked
                default: .error
                }
        } else {
            let mark = Double(Self.picasErrorMark)
            let isGivenUp = done < 0 || (lock == mark && done == mark)
            self = !isGivenUp && exitCode.flatMap(Self.leadingInteger) == 0 ? .done : .error
        }
    }

    /// The number that JavaScript's `==` sees in a value beside a number; `nil` for what equals none.
    static func looseNumber(_ value: JSON) -> Double? {
        switch value {
        case .integer, .decimal: value.numberValue
        case .bool(let flag): flag ? 1 : 0
        case .string(let text):
            text.allSatisfy(\.isWhitespace) ? 0 : Double(text)
        case .null, .array, .object: nil
        }
    }

    /// What JavaScript's `parseInt` reads, with which PiCaS' views read `exit_code`: "0 ok" is 0, "" is none.
    static func leadingInteger(_ value: JSON) -> Int? {
        switch value {
        case .integer(let number): return number
        case .decimal(let number): return Int(exactly: number.doubleValue.rounded(.towardZero))
        case .string(let text):
            var rest = text.drop(while: \.isWhitespace)
            let sign = rest.first == "-" ? -1 : 1
            if let first = rest.first, first == "-" || first == "+" { rest = rest.dropFirst() }
            return Int(rest.prefix { $0.isASCII && $0.isNumber }).map { sign * $0 }
        case .null, .bool, .array, .object: return nil
        }
    }
}
