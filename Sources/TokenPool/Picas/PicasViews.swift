public import CouchDB
public import CouchDocument

/// Design documents with PiCaS' five views, narrowed to some of the tokens.
public enum PicasViews {
    /// PiCaS' `SingleCore`: tokens with `cores` 1.
    public static let singleCore = design("SingleCore", where: "doc.cores == 1")
    /// PiCaS' `MultiCore`: tokens with `cores` 4.
    public static let multiCore = design("MultiCore", where: "doc.cores == 4")

    /// A design document with `todo`, `locked`, `done`, `error` and `overview_total`, whose rows are those of `Monitor`.
    ///
    /// - Parameter condition: A JavaScript expression over `doc` that narrows the tokens; `nil` for all.
    public static func design(_ name: String, where condition: String? = nil) -> DesignDocument {
        let narrowed = condition.map { " && (\($0))" } ?? ""
        var design = DesignDocument(name: name)
        var views: [String: DesignDocument.View] = [:]
        for (view, state) in states {
            views[view] = DesignDocument.View(
                map: """
                    function (doc) {
                      if (doc.type == 'token'\(narrowed) && \(state)) { emit(doc._id, doc._id); }
                    }
                    """)
        }
        let branches = states.map { "  if (\($0.condition)) { emit('\($0.view)', 1); }" }.joined(separator: "\n")
        views["overview_total"] = DesignDocument.View(
            map: """
                function (doc) {
                  if (!(doc.type == 'token'\(narrowed))) { return; }
                \(branches)
                }
                """, reduce: "_sum")
        design.views = views
        return design
    }

    private static let states: [(view: String, condition: String)] = [
        ("todo", "doc.lock == 0 && doc.done == 0"),
        ("locked", "doc.lock > 0 && doc.done == 0"),
        ("done", "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) == 0"),
        ("error", "doc.lock > 0 && doc.done > 0 && parseInt(doc.exit_code) != 0"),
    ]
}

extension Pool {
    /// Whether a view has any row: PiCaS' `is_view_nonempty`, by which scripts decide to submit a pilot. One row is read.
    ///
    /// - Throws: ``PoolError/Code/noSuchView``, where PiCaS says that the view is empty.
    public func hasRows(in view: ViewName) async throws -> Bool {
        var query = ViewQuery(limit: 1)
        query.reduce = false
        do {
            return try await !database.view(view, query).rows.isEmpty
        } catch CouchDBError.notFound {
            throw try await missing("view \"\(view)\" is not in")
        }
    }
}
