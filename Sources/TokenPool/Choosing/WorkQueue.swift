import CouchDB
import CouchDocument

/// The free tokens of a set that require the same.
public struct WorkQueue: Hashable, Sendable {
    /// The set; empty for tokens of none.
    public let set: String
    /// What the tokens require, as the view has it.
    let shape: String
    /// What the tokens require.
    public let requires: JSONObject
    /// How many there are.
    public let count: Int
    /// The best priority among them.
    public let priority: Double

    /// Reads a row of the view, grouped by set and requirements.
    init?(_ row: ViewRow) {
        guard let set = row.key[0]?.stringValue, let shape = row.key[1]?.stringValue,
            let count = row.value["count"]?.intValue
        else { return nil }
        self.init(set: set, shape: shape, count: count, priority: row.value["max"]?.numberValue ?? 0)
    }

    init?(set: String, shape: String = "", count: Int, priority: Double = 0) {
        var requires: JSONObject = [:]
        if !shape.isEmpty {
            let pairs: JSON
            do { pairs = try JSON(parsing: shape) } catch { return nil }
            for pair in pairs.arrayValue ?? [] {
                guard let name = pair[0]?.stringValue, let value = pair[1] else { return nil }
                requires[name] = value
            }
        }
        self.set = set
        self.shape = shape
        self.requires = requires
        self.count = count
        self.priority = priority
    }

    /// What names it among others.
    struct Name: Hashable, Sendable {
        let set: String
        let shape: String
    }
    var name: Name { Name(set: set, shape: shape) }

    /// Those of its tokens that have the best priority, in any order: so that workers do not reach for the same ones.
    var source: ClaimSource {
        let whole = Int(exactly: -priority).map(JSON.integer)
        let key: JSON = [.string(set), .string(shape), whole ?? JSON.double(-priority) ?? 0]
        var source = ClaimSource(view: .queues, startKey: key, endKey: key, order: .shuffled)
        source.rows = count
        return source
    }
}

extension ViewName {
    /// The free tokens by set, requirements and priority.
    public static let queues = ViewName(design: "work", view: "queues")
    /// The tokens that are held, by set.
    public static let running = ViewName(design: "work", view: "running")
}
