import CouchDocument

/// The values from which one token is made.
public struct SourceRow: Sendable {
    /// What templates can name.
    public let values: JSONObject
    /// Where the row comes from, for messages: `parameters.txt:3`.
    public let place: String
    /// The token's input, when the configuration says neither `input` nor otherwise.
    public let input: JSON

    /// A row of a source.
    public init(values: JSONObject, place: String, input: JSON? = nil) {
        self.values = values
        self.place = place
        self.input = input ?? .object(values)
    }
}

/// What makes the tokens of a set: it gives one row a token, always the same in the same order.
protocol TokenSource: Sendable {
    /// The template of a token's name when the configuration has none.
    var defaultName: String { get }
    /// The names that every row has; `nil` when rows differ.
    var valueNames: [String]? { get }
    /// Files that go with every token unless the configuration says otherwise: name and template.
    var defaultAttachments: [(name: String, template: String)] { get }
    /// Begins at the first row: a function that answers the next one, and `nil` after the last. Holds one row at a time
    /// wherever the source can be read so.
    func rows() throws -> () throws -> SourceRow?
}

extension TokenSource {
    var defaultName: String { "{number:04}" }
    var valueNames: [String]? { nil }
    var defaultAttachments: [(name: String, template: String)] { [] }
}

/// Rows that stand in the configuration itself.
struct ListSource: TokenSource {
    let items: [YAMLValue]

    var valueNames: [String]? {
        var names: Set<String> = items.contains { $0.members == nil } ? ["item"] : []
        for item in items { names.formUnion(item.members?.map(\.key) ?? []) }
        return names.sorted()
    }

    func rows() -> () throws -> SourceRow? {
        var index = 0
        return {
            guard index < items.count else { return nil }
            defer { index += 1 }
            let item = items[index]
            return SourceRow(item.json, place: item.place.description)
        }
    }
}

extension SourceRow {
    /// A row of an element of a list: a mapping gives its members, anything else is the value `item`.
    init(_ element: JSON, place: String) {
        if case .object(let members) = element {
            self.init(values: members, place: place)
        } else {
            self.init(values: ["item": element], place: place, input: element)
        }
    }
}

/// Whole or decimal numbers from one to another, both included.
struct NumberRange: Sendable {
    let from: JSON
    let to: JSON
    let step: JSON

    /// Why a range can not be counted; `nil` when it can.
    var problem: String? {
        guard let from = from.numberValue, let to = to.numberValue, let step = step.numberValue else {
            return "a range wants numbers"
        }
        if step == 0 { return "a range with step 0 never ends" }
        if (to - from) / step < 0 {
            return "a range from \(self.from) never comes to \(self.to) by steps of \(self.step)"
        }
        return (to - from) / step > 1e9 ? "a range of more than 10⁹ numbers" : nil
    }

    /// The number of numbers.
    var count: Int {
        if let from = from.intValue, let to = to.intValue, let step = step.intValue { return (to - from) / step + 1 }
        // 0.1 + 2 × 0.1 falls short of 0.3 by a rounding error, which is no reason to leave it out.
        let steps = ((to.numberValue ?? 0) - (from.numberValue ?? 0)) / (step.numberValue ?? 1)
        return Int(steps + 1e-9) + 1
    }

    /// The number at a position, from 0.
    subscript(index: Int) -> JSON {
        if let from = from.intValue, let step = step.intValue { return .integer(from + index * step) }
        let value = (from.numberValue ?? 0) + Double(index) * (step.numberValue ?? 0)
        // As many digits as the bounds have: 0.30000000000000004 is 0.3 to people.
        let scale = 1e12
        return .double((value * scale).rounded() / scale) ?? .null
    }
}

/// One token a number, as the value `n`.
struct RangeSource: TokenSource {
    let range: NumberRange
    let place: ConfigurationPlace

    var defaultName: String { "{n}" }
    var valueNames: [String]? { ["n"] }

    func rows() -> () throws -> SourceRow? {
        var index = 0
        return {
            guard index < range.count else { return nil }
            defer { index += 1 }
            return SourceRow(values: ["n": range[index]], place: "\(place) (n = \(range[index]))")
        }
    }
}
