import CouchDocument

/// `_sum`: numbers, arrays element by element, objects member by member, at any depth.
struct SumReduce {
    private static let reason = """
        The _sum function requires that map values be numbers, arrays of numbers, or objects. Objects cannot be mixed \
        with other data structures. Objects can be arbitrarily nested, provided that the values for all fields are \
        themselves numbers, arrays of numbers, or objects.
        """

    /// The sum while it is a plain integer, which needs no values.
    private var plain: Int? = 0
    private var total: JSON = .integer(0)

    /// Adds a row's value or another sum. What can not be added makes the sum an error object, which stays.
    mutating func add(_ text: ArraySlice<UInt8>) {
        if let sum = plain {
            if let number = integer(inJSON: text) {
                let (next, overflow) = sum.addingReportingOverflow(number)
                if !overflow {
                    plain = next
                    return
                }
            }
            total = .integer(sum)
            plain = nil
        }
        if Self.isError(total) { return }
        let value = (try? JSON(parsing: text)) ?? .null
        do throws(Refusal) { total = try Self.sum(value, total) } catch { total = error.object }
    }

    func encoded() -> [UInt8] { plain.map { Array(String($0).utf8) } ?? total.encoded() }

    private struct Refusal: Error { let object: JSON }

    private static func isError(_ value: JSON) -> Bool { value["error"] == .string("builtin_reduce_error") }

    private static func refuse(_ cause: JSON) -> Refusal {
        Refusal(object: ["error": "builtin_reduce_error", "reason": .string(reason), "caused_by": cause])
    }

    private static func sum(_ value: JSON, _ total: JSON) throws(Refusal) -> JSON {
        if let number = ReduceNumber(value), let sum = ReduceNumber(total) { return (sum + number).json }
        switch (value, total) {
        case (.array(let elements), .array(let sums)): return .array(try arrays(elements, sums))
        case (.array(let elements), _) where ReduceNumber(total) != nil: return .array(try arrays(elements, [total]))
        case (_, .array(let sums)) where ReduceNumber(value) != nil: return .array(try arrays([value], sums))
        case (.object(let members), _):
            if isError(value) { throw Refusal(object: value) }
            if total == .integer(0) { return value }
            guard case .object(let sums) = total else { throw refuse(value) }
            return .object(try objects(members, sums))
        default: throw refuse(value)
        }
    }

    private static func arrays(_ values: [JSON], _ sums: [JSON]) throws(Refusal) -> [JSON] {
        var result: [JSON] = []
        for index in 0..<max(values.count, sums.count) {
            let pair = [values, sums].compactMap { index < $0.count ? $0[index] : nil }
            var total = ReduceNumber.integer(0)
            for value in pair {
                guard let number = ReduceNumber(value) else { throw refuse(value) }
                total = total + number
            }
            result.append(pair.count == 1 ? pair[0] : total.json)
        }
        return result
    }

    private static func objects(_ values: JSONObject, _ sums: JSONObject) throws(Refusal) -> JSONObject {
        var merged = sums
        for (name, value) in values {
            if let sum = merged[name] { merged[name] = try Self.sum(value, sum) } else { merged[name] = value }
        }
        return JSONObject(merged.map { ($0.name, $0.value) }.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) })
    }
}
