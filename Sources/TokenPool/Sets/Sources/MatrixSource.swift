import CouchDocument

/// A parameter sweep: every combination of its axes, the last axis turning fastest, less what is excluded, and what is
/// included besides.
struct MatrixSource: TokenSource {
    struct Axis: Sendable {
        let name: String
        let values: AxisValues
    }

    enum AxisValues: Sendable {
        case list([JSON])
        case range(NumberRange)

        var count: Int {
            switch self {
            case .list(let values): values.count
            case .range(let range): range.count
            }
        }

        subscript(index: Int) -> JSON {
            switch self {
            case .list(let values): values[index]
            case .range(let range): range[index]
            }
        }
    }

    let axes: [Axis]
    /// Combinations to leave out: each names some axes and a value, or values, for each.
    let exclude: [[String: [JSON]]]
    /// Rows to add at the end; axes that they do not name are missing from them.
    let include: [(place: ConfigurationPlace, values: JSONObject)]
    let place: ConfigurationPlace

    var defaultName: String { axes.map { "{\($0.name)}" }.joined(separator: "_") }

    var valueNames: [String]? {
        var names = axes.map(\.name)
        for row in include { for name in row.values.names where !names.contains(name) { names.append(name) } }
        return names
    }

    func rows() -> () throws -> SourceRow? {
        var positions = axes.contains { $0.values.count == 0 } || axes.isEmpty ? nil : axes.map { _ in 0 }
        var included = 0
        return {
            while let current = positions {
                positions = following(current)
                let values = JSONObject(zip(axes, current).map { ($0.name, $0.values[$1]) })
                if !isExcluded(values) {
                    return SourceRow(values: values, place: "\(place) (\(Self.text(of: values)))")
                }
            }
            guard included < include.count else { return nil }
            defer { included += 1 }
            return SourceRow(values: include[included].values, place: include[included].place.description)
        }
    }

    private func following(_ positions: [Int]) -> [Int]? {
        var next = positions
        for axis in axes.indices.reversed() {
            next[axis] += 1
            if next[axis] < axes[axis].values.count { return next }
            next[axis] = 0
        }
        return nil
    }

    private func isExcluded(_ values: JSONObject) -> Bool {
        exclude.contains { rule in
            rule.allSatisfy { name, wanted in
                guard let value = values[name] else { return false }
                return wanted.contains { Self.isSame($0, value) }
            }
        }
    }

    /// Whether two values of an axis are one to people: 1 and 1.0 are.
    static func isSame(_ left: JSON, _ right: JSON) -> Bool {
        if left == right { return true }
        guard let left = left.numberValue, let right = right.numberValue else { return false }
        return left == right
    }

    private static func text(of values: JSONObject) -> String {
        values.map { "\($0.name) = \($0.value.templateText)" }.joined(separator: ", ")
    }
}
