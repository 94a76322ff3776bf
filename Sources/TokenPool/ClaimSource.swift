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
    public static func set(_ name: String) -> ClaimSource {
        ClaimSource(
            view: .todoOfSet, startKey: [.string(name)], endKey: [.string(name), .object([:])], order: .asViewed)
    }

    /// All free tokens with commands, the best priority first.
    public static let byPriority = ClaimSource(
        view: .todo, startKey: ["command"], endKey: ["command", .object([:])], order: .asViewed)

    func query(_ read: ClaimWindow.Read) -> ViewQuery {
        var query = ViewQuery()
        query.startKey = startKey
        query.endKey = endKey
        query.limit = read.limit
        query.skip = read.skip
        query.includeDocuments = true
        query.reduce = false
        if !read.isFresh { query.update = .lazy }
        return query
    }
}
