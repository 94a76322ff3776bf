import CouchDocument
import Crypto

/// The views of a design document as an index keeps them: views of equal map function and options share their rows, as
/// in CouchDB.
struct ViewDefinitions: Sendable {
    /// Rows of one map function.
    struct Rows: Hashable, Sendable {
        let map: String
        let order: CollationKey.Order
        /// Sources of the reduce functions over these rows.
        var reduces: [String]
    }

    /// Where a view's rows and reductions are.
    struct Place: Sendable {
        let rows: Int
        let reduce: Int?
    }

    let language: String
    let rows: [Rows]
    /// What makes the rows when it is not JavaScript, one for each of ``rows``.
    let nativeMaps: [any NativeMap]?
    let places: [String: Place]
    /// `views.lib`, for `require`.
    let library: JSON?
    let includesDesignDocuments: Bool
    let includesLocalSequence: Bool
    /// Whether the rows are kept by the partition of their document.
    let isPartitioned: Bool
    /// 32 hex digits of all that decides what stands in the index.
    let signature: String

    init(_ design: DesignDocument, inPartitioned: Bool) {
        let document = design.document
        language = document["language"]?.stringValue ?? "javascript"
        library = document["views"]?["lib"]
        let options = document["options"]
        includesDesignDocuments = options?["include_design"] == .bool(true)
        includesLocalSequence = options?["local_seq"] == .bool(true)
        isPartitioned = design.isPartitioned(inPartitioned: inPartitioned)
        var rows: [Rows] = []
        var named: [(name: String, rows: Rows, reduce: String?)] = []
        for (name, view) in document["views"]?.objectValue ?? [:] where name != "lib" || view["map"] != nil {
            // A Mango index is defined by an object.
            guard let map = language == "query" ? view["map"]?.description : view["map"]?.stringValue else { continue }
            let order = view["options"]?["collation"]?.stringValue.flatMap(CollationKey.Order.init) ?? .unicode
            let own = Rows(map: map, order: order, reduces: [])
            if !rows.contains(own) { rows.append(own) }
            named.append((name, own, view["reduce"]?.stringValue))
        }
        // The order of members does not matter to the signature.
        rows.sort { ($0.map, $0.order.rawValue) < ($1.map, $1.order.rawValue) }
        for view in named.sorted(by: { ($0.reduce ?? "") < ($1.reduce ?? "") }) {
            guard let reduce = view.reduce, let index = rows.firstIndex(where: { $0.isSame(as: view.rows) }) else {
                continue
            }
            if !rows[index].reduces.contains(reduce) { rows[index].reduces.append(reduce) }
        }
        self.rows = rows
        nativeMaps =
            language == "query"
            ? rows.map { MangoIndexMap((try? JSON(parsing: $0.map)) ?? .null) } : nil
        places = Dictionary(
            named.compactMap { view in
                guard let index = rows.firstIndex(where: { $0.isSame(as: view.rows) }) else { return nil }
                return (view.name, Place(rows: index, reduce: view.reduce.flatMap(rows[index].reduces.firstIndex)))
            }, uniquingKeysWith: { _, last in last })
        var essence: [JSON] = [
            .string(language), .bool(includesDesignDocuments), .bool(includesLocalSequence), library ?? .null,
            .array(
                rows.map {
                    .array([.string($0.map), .string($0.order.rawValue), .array($0.reduces.map(JSON.string))])
                }),
        ]
        if isPartitioned { essence.append("partitioned") }
        signature = hexadecimal(Insecure.MD5.hash(data: JSON.array(essence).encoded()))
    }
}

extension ViewDefinitions.Rows {
    fileprivate func isSame(as other: Self) -> Bool { map == other.map && order == other.order }
}

extension ViewDefinitions {
    /// The reduces over the rows of each map function, JavaScript functions numbered as the engine numbers them.
    var reduces: [[ViewReduce]] {
        var scripts = 0
        return rows.map { rows in
            rows.reduces.map { source -> ViewReduce in
                if let builtin = BuiltinReduce(source) { return .builtin(builtin) }
                defer { scripts += 1 }
                return .javaScript(scripts)
            }
        }
    }
}
