import CouchDocument

/// What `_explain` tells: how a query would be answered.
package enum FindExplanation {
    package static func json(_ query: FindQuery, in database: StoredDatabase) async throws -> JSON {
        let choice = try IndexChoice(
            query, among: try await MangoIndex.all(in: database), isPartitioned: database.isPartitioned)
        let scan = FindScan(query, choice)
        let keys = scan.shownKeys
        let arguments: JSONObject = [
            "include_docs": .bool(query.copies == 1 && !scan.isCovered), "view_type": "map", "reduce": false,
            "partition": query.partition.map(JSON.string) ?? .null, "start_key": keys.start, "end_key": keys.end,
            "direction": scan.isDescending ? "rev" : "fwd",
            "stable": .bool(query.isStable || query.isStaleAllowed), "update": .bool(query.update == .before),
            "conflicts": query.conflicts ? true : "undefined",
        ]
        return [
            "dbname": .string(database.name), "index": choice.index.json, "partitioned": .bool(database.isPartitioned),
            "selector": query.selector.json, "opts": .object(query.json), "limit": .integer(query.limit),
            "skip": .integer(query.skip), "fields": .array(query.fields?.names.map(JSON.string) ?? []),
            "index_candidates": .array(choice.losers.map { candidate($0, query) }),
            "selector_hints": [hints(query.selector)], "mrargs": .object(arguments), "covering": .bool(scan.isCovered),
        ]
    }

    private static func candidate(_ loser: IndexChoice.Loser, _ query: FindQuery) -> JSON {
        var covering = JSON.null
        if loser.index.design != nil {
            let needed = query.fields.map { Set($0.paths) }
            covering = .bool(
                needed?.isSubset(of: loser.index.columns + [FieldPath(names: ["_id"])]) ?? false)
        }
        return [
            "index": loser.index.json,
            "analysis": [
                "usable": .bool(loser.isUsable), "reasons": [["name": .string(loser.reason.rawValue)]],
                "ranking": .integer(loser.ranking), "covering": covering,
            ],
        ]
    }

    private static func hints(_ selector: Selector) -> JSON {
        let all = Set(selector.fields.map(\.text))
        let indexable = Set(selector.ranges.map(\.field.text))
        func list(_ names: Set<String>) -> JSON { .array(names.sorted().map(JSON.string)) }
        return [
            "type": "json", "indexable_fields": list(indexable),
            "unindexable_fields": list(all.subtracting(indexable)),
        ]
    }
}
