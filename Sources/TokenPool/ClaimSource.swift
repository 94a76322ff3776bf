public import CouchDB
import CouchDocument

/// Where a worker takes its tokens from: a view of free tokens, or a part of it.
public struct ClaimSource: Hashable, Sendable {
    /// The view.
    public var view: ViewName
    /// The first key, when not all rows count.
    public var startKey: JSON?
    /// The last key, when not all rows count.
    public var endKey: JSON?
    /// In which order the rows are tried.
    public var order: ClaimOrder
    /// Whether tokens come from the queues of ``QueueChooser``, and of which sets; an empty list means all.
    public var queues: [String]?
    /// In which order tokens come from the queues.
    public var choosing = WorkOrder.priority
    /// About how many rows there are, where it is not the whole view; `nil` takes the view's word.
    var rows: Int?

    /// A source of these parts.
    public init(view: ViewName, startKey: JSON? = nil, endKey: JSON? = nil, order: ClaimOrder = .shuffled) {
        self.view = view
        self.startKey = startKey
        self.endKey = endKey
        self.order = order
    }

    /// All rows of a view, in any order.
    public static func view(_ name: ViewName) -> ClaimSource { ClaimSource(view: name) }

    /// The tokens of a set, the best priority first.
    public static func set(_ name: String) -> ClaimSource { .queues(of: [name]) }

    /// What fits into what the worker has left, in that order, and never more of a set than its limit says.
    ///
    /// - Parameter sets: Only tokens of these sets; an empty list means all.
    public static func queues(of sets: [String] = [], order: WorkOrder = .priority) -> ClaimSource {
        var source = ClaimSource(view: .queues, order: .asViewed)
        source.choosing = order
        source.queues = sets
        if sets.count == 1, let set = sets.first {
            source.startKey = [.string(set)]
            source.endKey = [.string(set), .object([:])]
        }
        return source
    }

    /// All free tokens with commands, the best priority first.
    public static let byPriority = ClaimSource(
        view: .todo, startKey: ["command"], endKey: ["command", .object([:])], order: .asViewed)

    func query(_ read: ClaimWindow.Read) -> ViewQuery {
        var query = ViewQuery()
        query.startKey = startKey
        if let place = read.place, let key = startKey?.arrayValue {
            query.startKey = .array(key + [.integer(place)])
            query.startKeyDocumentID = read.afterID.map { $0 + "\u{0}" }
        }
        query.endKey = endKey
        query.limit = read.limit
        query.skip = read.skip
        query.includeDocuments = true
        query.reduce = false
        if !read.isFresh { query.update = read.follows ? .lazy : .never }
        return query
    }
}
