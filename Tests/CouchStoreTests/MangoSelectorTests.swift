import CouchDocument
import CouchStore
import Testing

@Suite("Mango selectors")
struct MangoSelectorTests {
    private func matches(_ selector: JSON, _ document: JSON) throws -> Bool {
        try Selector(selector).matches(document)
    }

    @Test(
        "a condition holds for values in the order of views, of the kind and shape it names",
        arguments: [
            (["a": ["$gt": 1]], ["a": number("1.5")], true), (["a": ["$gt": 1]], ["a": "1"], true),
            (["a": ["$lt": "b"]], ["a": "A"], true), (["a": ["$lt": []]], ["a": [:]], false),
            (["a": 1], ["a": number("1.0")], true), (["a": [:]], ["a": [:]], true),
            (["a": [:]], ["a": ["b": 1]], false),
            (["a": ["$in": [1, 2]]], ["a": [3, 2]], true), (["a": ["$nin": [1, 2]]], ["a": [3, 2]], false),
            (["a": ["$in": []]], ["a": 1], false), (["a": ["$all": [1, 3]]], ["a": [3, 2, 1]], true),
            (["a": ["$all": [[1, 2]]]], ["a": [1, 2]], true), (["a": ["$all": []]], ["a": []], false),
            (["a": ["$size": 2]], ["a": [0, 0]], true), (["a": ["$mod": [3, -1]]], ["a": -4], true),
            (["a": ["$mod": [0, 1]]], ["a": 1], false), (["a": ["$mod": [2, 0]]], ["a": number("2.0")], false),
            (["a": ["$type": "null"]], ["a": nil], true), (["a": ["$exists": false]], ["b": 1], true),
            (["a": ["$ne": 1]], ["b": 1], false), (["$not": ["a": 1]], ["b": 1], false),
            (["a": ["$elemMatch": ["x": ["$gt": 1]]]], ["a": [["x": 1], ["x": 2]]], true),
            (["a": ["$allMatch": ["$gt": 1]]], ["a": [2, 3]], true),
            (["a": ["$allMatch": ["$gt": 1]]], ["a": []], false),
            (["a": ["$keyMapMatch": ["$beginsWith": "x"]]], ["a": ["xy": 1]], true),
            (["a": ["$beginsWith": "é"]], ["a": "étude"], true), (["a": ["$regex": "^[äö].$"]], ["a": "öß"], true),
            (["a.1.b": 7], ["a": [0, ["b": 7]]], true), (["a\\.b": 7], ["a.b": 7], true),
            (["a\\.b": 7], ["a": ["b": 7]], false),
            (["$nor": [["a": 1], ["b": 1]]], ["a": 2, "b": 2], true), (["$and": [[:]]], ["a": 2], false),
        ] as [(JSON, JSON, Bool)])
    func conditions(selector: JSON, document: JSON, wanted: Bool) throws {
        #expect(try matches(selector, document) == wanted, "\(selector) of \(document)")
    }

    @Test("a regular expression that tries everything is given up and does not match")
    func endlessExpression() throws {
        let text = String(repeating: "a", count: 40) + "b"
        #expect(try !matches(["a": ["$regex": "^(a+)+$"]], ["a": .string(text)]))
        #expect(try matches(["a": ["$regex": "a+b"]], ["a": .string(text)]))
    }

    @Test(
        "what can not be asked is refused in CouchDB's words",
        arguments: [
            ([1], "invalid_selector_json: Selector must be a JSON object, not: [1]"),
            (["$gt": 1], "invalid_selector: One or more conditions is missing a field name."),
            (["a": ["$in": "é"]], "bad_arg: Bad argument for operator $in: <<195,169>>"),
            (["$not": ["a"]], "bad_arg: Bad argument for operator $not: [<<97>>]"),
            (["a": ["$size": -1]], "bad_arg: Bad argument for operator $size: -1"),
            (["a": ["$elemMatch": nil]], "bad_arg: Bad argument for operator $elemMatch: null"),
            (["a": ["$all": ["b": number("1.5")]]], "bad_arg: Bad argument for operator $all: {[{<<98>>,1.5}]}"),
            (["a": ["$where": 1]], "not_supported: Unsupported operator: $where"),
            (["a": ["$beginsWith": 1]], "invalid_operator: Invalid operator: $beginsWith"),
            (["a..b": 1], "invalid_field_name: Invalid field name: a..b"),
        ] as [(JSON, String)])
    func refusals(selector: JSON, reason: String) {
        let error = #expect(throws: StoreError.self) { _ = try Selector(selector) }
        #expect(error?.description == reason)
    }

    @Test("the normal form means what the selector means: three-valued logic of the same conditions agrees")
    func agreesWithModel() throws {
        var random = SeededRandom(seed: 20)
        var found = 0
        for _ in 0..<4000 {
            let selector = SelectorModel.selector(&random, depth: 3)
            let document = SelectorModel.document(&random)
            let normal = try Selector(selector)
            let wanted = SelectorModel.holds(selector, document) ?? false
            #expect(normal.matches(document) == wanted, "\(selector) of \(document)")
            // The form that `_explain` shows can be asked again.
            #expect(try Selector(normal.json).matches(document) == wanted, "\(normal.json) of \(document)")
            if wanted { found += 1 }
        }
        #expect((400..<3600).contains(found), "the test says little: \(found) of 4000 match")
    }
}

/// Selectors as three-valued logic: what is asked of a field that is not there is unknown, and unknown is no match.
private enum SelectorModel {
    private static let names = ["a", "b", "c"]
    private static let values: [JSON] = [nil, true, 0, 1, number("2.5"), "x", "y", [], [1, "x"], ["a": 1]]
    // All kinds in their order; the texts are such that every collation agrees.
    private static func rank(_ value: JSON) -> Int { values.firstIndex(of: value) ?? -1 }

    static func document(_ random: inout SeededRandom) -> JSON {
        var members = JSONObject()
        for name in names where Bool.random(using: &random) { members[name] = values.randomElement(using: &random) }
        return .object(members)
    }

    static func selector(_ random: inout SeededRandom, depth: Int) -> JSON {
        let parts = { (random: inout SeededRandom) -> JSON in
            .array((0..<Int.random(in: 1...3, using: &random)).map { _ in selector(&random, depth: depth - 1) })
        }
        switch depth == 0 ? 4 : Int.random(in: 0...6, using: &random) {
        case 0: return ["$and": parts(&random)]
        case 1: return ["$or": parts(&random)]
        case 2: return ["$nor": parts(&random)]
        case 3: return ["$not": selector(&random, depth: depth - 1)]
        default:
            var members = JSONObject()
            for name in names.shuffled(using: &random).prefix(Int.random(in: 1...2, using: &random)) {
                members[name] = condition(&random, depth: depth)
            }
            return .object(members)
        }
    }

    private static func condition(_ random: inout SeededRandom, depth: Int) -> JSON {
        let value = values.randomElement(using: &random) ?? nil
        if depth > 0 && Int.random(in: 0..<4, using: &random) == 0 {
            return ["$not": condition(&random, depth: depth - 1)]
        }
        let list = JSON.array(values.shuffled(using: &random).prefix(4).filter { $0.arrayValue == nil })
        let choices: [JSONObject] = [
            ["$lt": value], ["$lte": value], ["$eq": value], ["$ne": value], ["$gte": value], ["$gt": value],
            ["$in": list], ["$nin": list], ["$exists": .bool(Bool.random(using: &random))], ["$type": "number"],
            ["$size": 2], ["$gte": value, "$lt": values.randomElement(using: &random) ?? nil],
        ]
        return .object(choices.randomElement(using: &random) ?? [:])
    }

    static func holds(_ selector: JSON, _ document: JSON) -> Bool? {
        all((selector.objectValue ?? [:]).map { holds($0.name, $0.value, document) })
    }

    private static func holds(_ name: String, _ value: JSON, _ document: JSON) -> Bool? {
        let parts = { (value.arrayValue ?? []).map { holds($0, document) } }
        return switch name {
        case "$and": all(parts())
        case "$or": any(parts())
        case "$nor": any(parts()).map { !$0 }
        case "$not": holds(value, document).map { !$0 }
        default: all((value.objectValue ?? [:]).map { test($0.name, $0.value, document[name]) })
        }
    }

    private static func all(_ parts: [Bool?]) -> Bool? {
        parts.contains(false) ? false : parts.contains(nil) ? nil : true
    }

    private static func any(_ parts: [Bool?]) -> Bool? {
        parts.contains(true) ? true : parts.contains(nil) ? nil : false
    }

    private static func test(_ name: String, _ argument: JSON, _ value: JSON?) -> Bool? {
        if name == "$exists" { return (value != nil) == argument.boolValue }
        if name == "$not" {
            return all((argument.objectValue ?? [:]).map { test($0.name, $0.value, value) }).map { !$0 }
        }
        guard let value else { return nil }
        switch name {
        case "$lt": return rank(value) < rank(argument)
        case "$lte": return rank(value) <= rank(argument)
        case "$eq": return value == argument
        case "$ne": return value != argument
        case "$gte": return rank(value) >= rank(argument)
        case "$gt": return rank(value) > rank(argument)
        case "$in", "$nin":
            let values = value.arrayValue ?? [value]
            return (argument.arrayValue ?? []).contains(where: values.contains) == (name == "$in")
        case "$type": return value.kind == argument.stringValue
        case "$size": return value.arrayValue?.count == argument.intValue
        default: return nil
        }
    }
}
