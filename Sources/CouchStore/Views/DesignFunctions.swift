import CouchDocument
import Logging
import Synchronization

/// What a design function may use.
package struct JavaScriptLimits: Sendable {
    /// How long one call may work, as CouchDB's `os_process_timeout`.
    package var seconds: Double
    /// How much memory one engine may hold.
    package var bytes: Int

    package init(seconds: Double = 5, bytes: Int = 256 << 20) {
        self.seconds = seconds
        self.bytes = bytes
    }
}

/// Runs the functions of design documents that are no views: `validate_doc_update`, `filters`, `updates`, `shows`.
///
/// A design document's functions are compiled once and kept while the document stays the same. Each database has its own
/// JavaScript thread for them; calls wait their turn.
package final class DesignFunctions: Sendable {
    /// Engines by design document id, on the thread.
    private final class Engines {
        var open: [String: (document: Document, engine: JavaScriptEngine)] = [:]
    }

    private let limits: JavaScriptLimits
    private let logger: Logger
    private let thread: JavaScriptThread<Engines>
    /// Counts the lists under way.
    private let listCount = Mutex(0)

    package init(limits: JavaScriptLimits = .init(), logger: Logger) {
        self.limits = limits
        self.logger = logger
        thread = JavaScriptThread { Engines() }
    }

    /// Asks every design document with a `validate_doc_update` whether the edit may be.
    ///
    /// - Parameters:
    ///   - newDocument: The document as it would be, with `_id`, `_rev`, `_revisions`, and `_deleted` if it is deleted.
    ///   - oldDocument: The document as it is; `nil` when there is none.
    /// - Throws: 403 `forbidden` or 401 `unauthorized` with the function's text; 500 when a function fails, runs too
    ///   long or does not compile.
    package func validate(
        _ newDocument: JSONObject, replacing oldDocument: JSONObject?, user: JSON, security: JSON,
        designs: [DesignDocument]
    ) async throws {
        let validating = designs.filter { $0.document["validate_doc_update"] != nil }
        if validating.isEmpty { return }
        let texts = [JSON.object(newDocument), oldDocument.map(JSON.object) ?? .null, user, security].map {
            $0.encoded()
        }
        try await run { functions, engines in
            for design in validating {
                do throws(Thrown) {
                    _ = try functions.call(engines, design, "validate", texts)
                } catch {
                    throw error.refusal
                }
            }
        }
    }

    /// Asks `filters.<name>` about each document; the answer has one element a document.
    package func filter(_ name: String, of design: DesignDocument, documents: [JSONObject], request: JSON) async throws
        -> [Bool]
    {
        try await ask("filter", design, ["filters", name], [.array(documents.map(JSON.object)), request])
            .arrayValue?.map { $0 == .bool(true) } ?? []
    }

    /// Asks the map function of a view (`_changes?filter=_view`): a document passes when it emits anything.
    package func filter(byView view: String, of design: DesignDocument, documents: [JSONObject]) async throws -> [Bool]
    {
        try await ask("filterByMap", design, ["views", view, "map"], [.array(documents.map(JSON.object))])
            .arrayValue?.map { $0 == .bool(true) } ?? []
    }

    /// What an update function answered.
    package struct Update: Sendable {
        /// The document to save, if any.
        package let document: JSONObject?
        /// `{"code", "headers", "body" | "base64" | "json"}`; a plain text answer stands in `body`.
        package let response: JSONObject
    }

    /// Runs `updates.<name>`.
    ///
    /// - Throws: 404 "missing json key: name"; 500 when the function throws or answers nothing.
    package func update(_ name: String, of design: DesignDocument, document: JSONObject?, request: JSON) async throws
        -> Update
    {
        let answer = try await ask(
            "update", design, ["updates", name], [document.map(JSON.object) ?? .null, request])
        return Update(document: answer[0]?.objectValue, response: answer[1]?.objectValue ?? [:])
    }

    /// Runs `shows.<name>`; the answer is like ``Update/response``.
    package func show(_ name: String, of design: DesignDocument, document: JSONObject?, request: JSON) async throws
        -> JSONObject
    {
        try await ask("show", design, ["shows", name], [document.map(JSON.object) ?? .null, request]).objectValue ?? [:]
    }

    /// Lists that may be under way at once, in this database: each has a thread and a machine of its own.
    private static let mostLists = 16

    /// Begins `lists.<name>` over the rows of a view.
    ///
    /// - Throws: 503 when very many are under way already.
    package func list(
        _ name: String, of design: DesignDocument, head: JSONObject, request: JSON, rows: ViewResult
    ) throws -> ListRun {
        let isTooMuch = listCount.withLock { count in
            if count >= Self.mostLists { return true }
            count += 1
            return false
        }
        if isTooMuch {
            throw StoreError(
                code: .init("service_unavailable", status: 503),
                reason: "too many list functions run just now: ask again")
        }
        let run = ListRun()
        let worker = run.worker
        // Ends with its only job.
        let thread = JavaScriptThread(idleSeconds: 0) { [self] in
            worker.run(name, of: design, head: head, request: request, rows: rows, limits: limits)
            listCount.withLock { $0 -= 1 }
        }
        thread.submit { _ in }
        return run
    }

    /// Lets the thread end once its last call is done.
    package func close() {
        thread.stop()
    }

    /// Why a text is no JavaScript function; `nil` when it is one.
    func compilationError(_ source: String) async throws -> String? {
        try await run { functions, _ in
            // In a world of its own: compiling runs whatever stands around the function.
            let engine = JavaScriptEngine(limits: functions.limits)
            let answer: [UInt8]
            do throws(JavaScriptError) { answer = try engine.call("compile", Array(source.utf8)) } catch {
                return "it \(error.excess?.reason ?? "failed")"
            }
            return (try? JSON(parsing: answer))?["thrown"].map { $0["reason"]?.stringValue ?? $0.description }
        }
    }

    // MARK: On the thread

    private func run<Result: Sendable>(
        _ body: @escaping @Sendable (DesignFunctions, Engines) throws -> Result
    ) async throws -> Result {
        try await thread.run { engines in try body(self, engines) }
    }

    private func ask(_ function: String, _ design: DesignDocument, _ path: [String], _ arguments: [JSON]) async throws
        -> JSON
    {
        let texts = [JSON.array(path.map(JSON.string)).encoded()] + arguments.map { $0.encoded() }
        return try await run { functions, engines in
            do throws(Thrown) {
                return try functions.call(engines, design, function, texts)
            } catch {
                throw error.failure
            }
        }
    }

    /// What a design function threw, or what kept it from running.
    struct Thrown: Error {
        let value: JSON

        private var text: (word: String, reason: String) {
            (value["error"]?.stringValue ?? "unnamed_error", value["reason"]?.stringValue ?? value.description)
        }

        /// A validation function's no.
        var refusal: StoreError {
            func reason(_ value: JSON) -> String { value.stringValue ?? value.description }
            if let forbidden = value["forbidden"] {
                return StoreError(code: .init("forbidden", status: 403), reason: reason(forbidden))
            }
            if let unauthorized = value["unauthorized"] {
                return StoreError(code: .init("unauthorized", status: 401), reason: reason(unauthorized))
            }
            return failure
        }

        /// Any other function's failure.
        var failure: StoreError {
            if value["error"] == "not_found" { return .absent(text.reason) }
            return .failure(text.word, text.reason)
        }
    }

    private func call(
        _ engines: Engines, _ design: DesignDocument, _ function: String, _ arguments: [[UInt8]]
    ) throws(Thrown) -> JSON {
        let answer: [UInt8]
        do throws(JavaScriptError) {
            answer = try engine(engines, design).call(function, arguments)
        } catch {
            // A function that was stopped may have left anything behind: the next call begins with a new engine.
            engines.open[design.document.id] = nil
            if let excess = error.excess {
                let reason = "a function of \(design.document.id) \(excess.reason) and was stopped"
                throw Thrown(value: ["error": .string(excess.word), "reason": .string(reason)])
            }
            throw Thrown(value: ["error": "unnamed_error", "reason": .string("\(error)")])
        }
        let result = (try? JSON(parsing: answer)) ?? .null
        for message in result["log"]?.arrayValue ?? [] {
            logger.debug(
                "message of a design function",
                metadata: ["design": "\(design.document.id)", "message": "\(message.stringValue ?? "")"])
        }
        if let thrown = result["thrown"] { throw Thrown(value: thrown) }
        return result["ok"] ?? .null
    }

    private func engine(_ engines: Engines, _ design: DesignDocument) throws(JavaScriptError) -> JavaScriptEngine {
        let id = design.document.id
        if let open = engines.open[id], open.document == design.document { return open.engine }
        let engine = JavaScriptEngine(limits: limits)
        _ = try engine.call("setRoot", JSON.object(design.document.fields).encoded())
        engines.open[id] = (design.document, engine)
        return engine
    }
}
