import CouchDocument

/// A view of the tokens of one type, kept in the design document of that type's name, as GRID_LRT has them.
public protocol TokenViewing: Sendable {
    /// The view's name in its design document.
    var name: String { get }
    /// Its functions for the tokens of a type.
    func functions(forType type: String) -> DesignDocument.View
}

/// The tokens for which a condition holds.
public struct TokenView: TokenViewing, Hashable {
    /// The view's name.
    public let name: String
    /// A JavaScript expression over `doc`.
    public let condition: String
    /// A JavaScript expression for the rows' key.
    public let key: String
    /// A JavaScript expression for the rows' value.
    public let value: String

    /// A view of a condition, such as `doc.lock == 0 && doc.done == 0`.
    public init(_ name: String, condition: String, key: String = "doc._id", value: String = "doc._id") {
        self.name = name
        self.condition = condition
        self.key = key
        self.value = value
    }

    /// The map function; there is no reduce.
    public func functions(forType type: String) -> DesignDocument.View {
        DesignDocument.View(
            map: """
                function (doc) {
                  if (doc.type == \(JSON.string(type)) && (\(condition))) {
                    emit(\(key), \(value));
                  }
                }
                """)
    }

    /// GRID_LRT's views of tokens by state.
    public static let ofStates = [
        TokenView("todo", condition: "doc.lock == 0 && doc.done == 0"),
        TokenView("locked", condition: "doc.lock > 0 && doc.done == 0", value: "doc.status"),
        TokenView("done", condition: #"doc.status == "done""#),
        TokenView("error", condition: #"doc.status == "error""#, value: "doc.status"),
    ]
}

/// How many tokens of a type are in which of GRID_LRT's states. They overlap: a launched token is `waiting` and `running`.
public struct TokenReduceView: TokenViewing, Hashable {
    /// The view's name.
    public let name: String
    /// A JavaScript expression over `doc` that narrows the tokens; `nil` for all of the type.
    public let condition: String?

    /// GRID_LRT 1.0 calls the view `overview_view`; 0.5 and PiCaS call it `overview_total`.
    public init(_ name: String = "overview_view", condition: String? = nil) {
        self.name = name
        self.condition = condition
    }

    /// Emits 1 under each state that a token is in; the reduce adds them up.
    public func functions(forType type: String) -> DesignDocument.View {
        let narrowed = condition.map { " || !(\($0))" } ?? ""
        return DesignDocument.View(
            map: """
                function (doc) {
                  if (doc.type != \(JSON.string(type))\(narrowed)) { return; }
                  if (doc.lock == 0 && doc.done == 0) { emit('todo', 1); }
                  if (doc.lock > 0 && doc.status == 'downloading') { emit('downloading', 1); }
                  if (doc.lock > 0 && doc.done > 0 && doc.output == 0) { emit('done', 1); }
                  if (doc.lock > 0 && doc.output != 0 && doc.output != '') { emit('error', 1); }
                  if (doc.lock > 0 && doc.status == 'launched') { emit('waiting', 1); }
                  if (doc.lock > 0 && doc.done == 0 && doc.status != 'downloading') { emit('running', 1); }
                }
                """, reduce: "_sum")
    }
}
