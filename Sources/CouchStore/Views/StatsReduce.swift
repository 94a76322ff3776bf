import CouchDocument

/// `_stats`: sum, count, min, max and sum of squares, of numbers or of the elements of arrays. Takes objects that hold
/// these five already.
struct StatsReduce {
    private struct Figures {
        var sum: ReduceNumber
        var count: ReduceNumber
        var min: ReduceNumber
        var max: ReduceNumber
        var squares: ReduceNumber

        init(_ number: ReduceNumber) {
            sum = number
            count = .integer(1)
            min = number
            max = number
            squares = number.squared
        }

        init?(_ members: JSONObject) {
            func number(_ name: String) -> ReduceNumber? { members[name].flatMap { ReduceNumber($0) } }
            guard let sum = number("sum"), let count = number("count"), let min = number("min"),
                let max = number("max"), let squares = number("sumsqr")
            else { return nil }
            self.sum = sum
            self.count = count
            self.min = min
            self.max = max
            self.squares = squares
        }

        func merged(with other: Figures) -> Figures {
            var result = self
            result.sum = sum + other.sum
            result.count = count + other.count
            result.min = .smaller(min, other.min)
            result.max = .greater(max, other.max)
            result.squares = squares + other.squares
            return result
        }

        var json: JSON {
            ["sum": sum.json, "count": count.json, "min": min.json, "max": max.json, "sumsqr": squares.json]
        }
    }

    private enum Total {
        case nothing
        case one(Figures)
        case many([Figures])
        case failed(String)
    }

    private var total = Total.nothing

    /// Adds a row's value or other figures.
    mutating func add(_ text: ArraySlice<UInt8>) {
        if case .failed = total { return }
        if let number = integer(inJSON: text) {
            add(.one(Figures(.integer(number))), text)
            return
        }
        let value = (try? JSON(parsing: text)) ?? .null
        if let reason = value[Self.failureMember]?.stringValue {
            total = .failed(reason)
        } else if let elements = value.arrayValue {
            let figures = elements.compactMap(Self.figures)
            add(figures.count == elements.count ? .many(figures) : .nothing, text)
        } else {
            add(Self.figures(value).map(Total.one) ?? .nothing, text)
        }
    }

    private static func figures(_ value: JSON) -> Figures? {
        if let number = ReduceNumber(value) { return Figures(number) }
        return value.objectValue.flatMap { Figures($0) }
    }

    private mutating func add(_ value: Total, _ text: ArraySlice<UInt8>) {
        switch (value, total) {
        case (.one, .nothing), (.many, .nothing): total = value
        case (.one(let figures), .one(let sum)): total = .one(sum.merged(with: figures))
        case (.many(let figures), .many(let sums)) where figures.count == sums.count:
            total = .many(zip(figures, sums).map { $1.merged(with: $0) })
        default:
            total = .failed(
                """
                The _stats function requires that map values be numbers or arrays of numbers, not \
                '\(String(decoding: text, as: UTF8.self))'
                """)
        }
    }

    // Never a member of figures, so a failure can be kept among them.
    private static let failureMember = "_stats failed"

    func encoded() -> [UInt8] {
        switch total {
        case .nothing:
            let zero = ReduceNumber.integer(0)
            var none = Figures(zero)
            none.count = zero
            return none.json.encoded()
        case .one(let figures): return figures.json.encoded()
        case .many(let figures): return JSON.array(figures.map(\.json)).encoded()
        case .failed(let reason): return JSON.object([Self.failureMember: .string(reason)]).encoded()
        }
    }

    /// Why there are no figures, if there are none.
    static func failure(in kept: [UInt8]) -> String? {
        guard kept.starts(with: "{\"_stats".utf8) else { return nil }
        return (try? JSON(parsing: kept))?[failureMember]?.stringValue
    }
}
