import CouchDocument
import CouchStore
import Logging
import Testing

@Suite("Design functions")
struct ViewsDesignTests {
    static func functions(seconds: Double = 5) -> DesignFunctions {
        DesignFunctions(limits: JavaScriptLimits(seconds: seconds), logger: Logger(label: "test"))
    }

    static func design(_ text: String) throws -> DesignDocument {
        var document = Document(fields: try #require(try JSON(parsing: text).objectValue))
        document.id = "_design/d"
        return try #require(DesignDocument(document))
    }

    /// Recordings design_docs "refused" and views_errors "code that does not compile".
    @Test(
        "a design document of the wrong shape is refused in CouchDB's words",
        arguments: [
            (#"{"views": 1}"#, "`views` field must have object type"),
            (#"{"views": []}"#, "`views` field must have object type"),
            (#"{"views": {"v": 1}}"#, "`views.v` field must have object type"),
            (#"{"views": {"v": {}}}"#, "View `v` must contain map function"),
            (#"{"views": {"v": {"map": 1}}}"#, "`views.v.map` field must have string type"),
            (
                #"{"views": {"v": {"map": "function(doc){}", "reduce": 1}}}"#,
                "`views.v.reduce` field must have string type"
            ),
            (
                #"{"views": {"v": {"map": "function(doc){}", "reduce": "_nope"}}}"#,
                "`_nope` is not a supported reduce function."
            ),
            (#"{"views": {"v": {"reduce": "_sum"}}}"#, "View `v` must contain map function"),
            (#"{"language": 1}"#, "`language` field must have string type"),
            (#"{"filters": 1}"#, "`filters` field must have object type"),
            (#"{"filters": {"f": 1}}"#, "`filters.f` field must have string or object type"),
            (#"{"updates": "x"}"#, "`updates` field must have object type"),
            (#"{"validate_doc_update": 1}"#, "`validate_doc_update` field must have string type"),
            (#"{"shows": []}"#, "`shows` field must have object type"),
            (#"{"lists": 1}"#, "`lists` field must have object type"),
            (#"{"options": 1}"#, "`options` field must have object type"),
            (#"{"rewrites": 1}"#, "`rewrites` field must have array or string type"),
            (#"{"updates": {"u": 1}}"#, "`updates.u` field must have string or object type"),
            (#"{"shows": {"a": 1}}"#, "`shows.a` field must have string or object type"),
        ])
    func shapes(_ text: String, _ reason: String) async throws {
        let design = try Self.design(text)
        let error = await #expect(throws: StoreError.self) { try await Self.functions().check(design) }
        #expect(error?.code.word == "invalid_design_doc" && error?.code.status == 400)
        #expect(error?.reason == reason)
    }

    @Test(
        "functions that do not compile are refused, and an empty one is missing",
        arguments: [
            ("function(doc){", "map", "compilation_error"), ("not a function", "map", "compilation_error"),
            ("42", "map", "compilation_error"), ("", "map", "not_found"), ("function(}", "reduce", "compilation_error"),
        ])
    func compilation(_ source: String, _ kind: String, _ word: String) async throws {
        let text: JSON = [
            "views": ["a": kind == "map" ? ["map": .string(source)] : ["map": "doc => {}", "reduce": .string(source)]]
        ]
        let design = try Self.design(text.description)
        let error = await #expect(throws: StoreError.self) { try await Self.functions().check(design) }
        #expect(error?.code.word == word)
        let start = "Compilation of the \(kind) function in the 'a' view failed: "
        #expect(error?.reason.hasPrefix(word == "not_found" ? "missing function" : start) == true)
    }

    @Test(
        "what CouchDB saves is saved: other functions are looked at when they are used, other languages never",
        arguments: [
            #"{"views": {"": {"map": "function(doc){}"}, "lib": {"x": "exports.y = 1"}}}"#, #"{"autoupdate": "x"}"#,
            #"{"validate_doc_update": "function("}"#,
            #"{"language": "erlang", "views": {"v": {"map": "fun() -> x."}}}"#,
            #"{"language": "query", "views": {"i": {"map": {"fields": {}}, "reduce": "_count"}}}"#,
        ])
    func accepted(_ text: String) async throws {
        try await Self.functions().check(try Self.design(text))
    }

    @Test("a validation function refuses with its own words, or as unauthorized; its accidents are the server's fault")
    func validation() async throws {
        let design = try Self.design(
            """
            {"validate_doc_update": "function(n, o, user, sec) { if (!n.type) throw({forbidden: 'type is missing'}); \
            if (o && o.type !== n.type) throw({forbidden: 'type may not change from ' + o.type}); \
            if (n.type === 'secret' && user.roles.indexOf('_admin') < 0) throw({unauthorized: 'admins only'}); \
            if (n.err) nothere(); if (n.txt) throw 'just text'; if (n.loop) while (true) {} }"}
            """)
        let functions = Self.functions(seconds: 0.2)
        let cases: [(JSONObject, JSONObject?, Int, String)] = [
            (["v": 1], nil, 403, "type is missing"),
            (["type": "u"], ["type": "t"], 403, "type may not change from t"),
            (["type": "secret"], nil, 401, "admins only"), (["type": "t", "err": 1], nil, 500, "nothere"),
            (["type": "t", "txt": 1], nil, 500, "just text"), (["type": "t", "loop": 1], nil, 500, "0.2 s"),
        ]
        for (new, old, status, text) in cases {
            let error = await #expect(throws: StoreError.self) {
                try await functions.validate(
                    new, replacing: old, user: ["name": "u", "roles": []], security: [:], designs: [design])
            }
            #expect(error?.code.status == status)
            #expect(error?.reason.contains(text) == true, "\(error as Any)")
        }
        // After a function that was stopped the next call finds its world in order.
        try await functions.validate(
            ["type": "t"], replacing: nil, user: ["roles": []], security: [:], designs: [design])
    }

    @Test("a validation function that does not compile keeps everything out")
    func brokenValidation() async throws {
        let design = try Self.design(#"{"validate_doc_update": "function("}"#)
        let error = await #expect(throws: StoreError.self) {
            try await Self.functions().validate([:], replacing: nil, user: nil, security: nil, designs: [design])
        }
        #expect(error?.code.word == "compilation_error" && error?.code.status == 500)
    }

    @Test("a changed design document takes effect at once")
    func changed() async throws {
        let functions = Self.functions()
        for (number, wanted) in [("1", true), ("2", false)] {
            let design = try Self.design(#"{"filters": {"f": "function(doc, req) { return doc.n == \#(number); }"}}"#)
            #expect(try await functions.filter("f", of: design, documents: [["n": 1]], request: [:]) == [wanted])
        }
    }

    @Test("filters answer for each document, by the request or by a view's map")
    func filters() async throws {
        let design = try Self.design(
            """
            {"filters": {"f": "function(doc, req) { return doc.n > parseInt(req.query.n); }"},
             "views": {"v": {"map": "function(doc) { if (doc.n === 2) emit(1); if (doc.n === 3) throw 1; }"}}}
            """)
        let functions = Self.functions()
        let documents: [JSONObject] = [["n": 1], ["n": 2], ["n": 3]]
        let request: JSON = ["query": ["n": "1"]]
        #expect(
            try await functions.filter("f", of: design, documents: documents, request: request) == [false, true, true])
        #expect(try await functions.filter(byView: "v", of: design, documents: [["n": 1], ["n": 2]]) == [false, true])
        // As CouchDB 3.5.0 answers, unlike a view that is built.
        let thrown = await #expect(throws: StoreError.self) {
            try await functions.filter(byView: "v", of: design, documents: documents)
        }
        #expect(thrown?.code.status == 500)
        let error = await #expect(throws: StoreError.self) {
            try await functions.filter("never", of: design, documents: documents, request: request)
        }
        #expect(error?.code.status == 404 && error?.reason == "missing json key: never")
    }

    @Test("update functions give a document to save and an answer to send")
    func updates() async throws {
        let design = try Self.design(
            """
            {"lib": {"names": "exports.by = 'by';"}, "updates": {
             "claim": "function(doc, req){ doc.lock = 1; doc[require('lib/names').by] = req.query.by; \
            return [doc, {code: 200, json: {id: doc._id}}]; }",
             "none": "function(doc, req){ return [null, 'nothing']; }",
             "bad": "function(doc, req){ return 'just text'; }", "err": "function(doc, req){ throw new Error('no'); }"}}
            """)
        let functions = Self.functions()
        let claimed = try await functions.update(
            "claim", of: design, document: ["_id": "t1", "lock": 0, "big": 12_345_678_901],
            request: ["query": ["by": "A"]])
        #expect(claimed.document == ["_id": "t1", "lock": 1, "big": 12_345_678_901, "by": "A"])
        #expect(claimed.response == ["code": 200, "json": ["id": "t1"]])
        let nothing = try await functions.update("none", of: design, document: nil, request: [:])
        #expect(nothing.document == nil && nothing.response == ["body": "nothing"])
        let text = try await functions.update("bad", of: design, document: nil, request: [:])
        #expect(text.document == nil && text.response == ["body": "u"])
        for name in ["err", "never"] {
            let error = await #expect(throws: StoreError.self) {
                try await functions.update(name, of: design, document: nil, request: [:])
            }
            #expect(error?.code.status == (name == "err" ? 500 : 404))
        }
    }
}
