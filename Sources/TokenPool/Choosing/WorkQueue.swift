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
    /// Greater the better the priority, and among equals the older the oldest token of that priority.
    var rank: Double

    /// The rank of a token, as the view has it.
    static func rank(of token: Token) -> Double {
        let created = token["pool"]?["created"]?.numberValue ?? token["created"]?.numberValue ?? 0
        return (token["pool"]?["priority"]?.numberValue ?? 0) * 1e11 - created
    }

    /// Reads a row of the view, grouped by set and requirements.
    init?(_ row: ViewRow) {
        guard let set = row.key[0]?.stringValue, let shape = row.key[1]?.stringValue,
            let count = row.value[0]?["count"]?.intValue
        else { return nil }
        self.init(
            set: set, shape: shape, count: count, priority: row.value[0]?["max"]?.numberValue ?? 0,
            rank: row.value[1]?["max"]?.numberValue ?? 0)
    }

    init?(set: String, shape: String = "", count: Int, priority: Double = 0, rank: Double = 0) {
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
        self.rank = rank
    }

    /// What names it among others.
    struct Name: Hashable, Sendable {
        let set: String
        let shape: String
    }
    var name: Name { Name(set: set, shape: shape) }

    /// The rows of its tokens from which a worker that wants this order takes.
    ///
    /// By priority those of the best one, each claim from a place of its own on, so that workers do not reach for the same
    /// ones; the oldest from the front; at random all of them.
    func source(_ order: WorkOrder) -> ClaimSource {
        let whole: JSON = [.string(set), .string(shape)]
        var source = ClaimSource(view: .queues, startKey: whole, endKey: [.string(set), .string(shape), [:]])
        source.order = order.claims
        if order == .priority {
            source.view = .places
            let best = Int(exactly: -priority).map(JSON.integer) ?? JSON.double(-priority) ?? 0
            source.startKey = [.string(set), .string(shape), best]
            source.endKey = [.string(set), .string(shape), best, [:]]
        }
        source.rows = count
        return source
    }
}

/// In which order a worker takes the tokens that fit.
public enum WorkOrder: String, Hashable, Sendable, CaseIterable {
    /// The best priority first; among equals fair shares between sets, and tokens in any order.
    case priority
    /// The best priority first, and among equals the oldest, of whatever set. Workers reach for the same tokens, so many
    /// of them lose more claims than with the other orders.
    case oldest
    /// Any that fits, whatever its priority; of a large queue any of its first thousand.
    case random

    /// How the rows of a queue are taken.
    var claims: ClaimOrder {
        switch self {
        case .priority: .sharded
        case .oldest: .asViewed
        case .random: .shuffled
        }
    }
}

extension ViewName {
    /// The free tokens by set, requirements and priority.
    public static let queues = ViewName(design: "work", view: "queues")
    /// The free tokens by set, requirements, priority and a place that follows from the id.
    public static let places = ViewName(design: "work", view: "places")
    /// The tokens that are held, by set.
    public static let running = ViewName(design: "work", view: "running")
}
