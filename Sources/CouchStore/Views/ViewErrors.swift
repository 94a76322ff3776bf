extension StoreError {
    /// 400: an option of a view query that can not be.
    static func query(_ reason: String) -> StoreError {
        StoreError(code: Code("query_parse_error", status: 400), reason: reason)
    }

    /// 404 in CouchDB's words for the thing that is absent.
    static func absent(_ reason: String) -> StoreError {
        StoreError(code: Code("not_found", status: 404), reason: reason)
    }

    /// 400: a function that is no JavaScript function.
    static func compilation(_ reason: String) -> StoreError {
        StoreError(code: Code("compilation_error", status: 400), reason: reason)
    }

    /// 400: a design document of the wrong shape.
    static func designDocument(_ reason: String) -> StoreError {
        StoreError(code: Code("invalid_design_doc", status: 400), reason: reason)
    }

    /// 500: a function failed, ran too long, or an index can not be kept.
    static func failure(_ word: String, _ reason: String) -> StoreError {
        StoreError(code: Code(word, status: 500), reason: reason)
    }
}
