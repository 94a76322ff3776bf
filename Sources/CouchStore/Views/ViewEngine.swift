import CouchDocument

/// The JavaScript of one index: an engine with the functions of its views. Lives on the index' JavaScript thread.
final class ViewEngine {
    /// What the map functions emitted for some documents, as the harness answers it.
    struct Mapped: Sendable {
        let answer: [UInt8]
        /// How many documents it is about.
        let count: Int
    }

    private let definitions: ViewDefinitions
    private let limits: JavaScriptLimits
    private let log: (String) -> Void
    private var loaded: JavaScriptEngine?

    init(_ definitions: ViewDefinitions, limits: JavaScriptLimits, log: @escaping (String) -> Void) {
        self.definitions = definitions
        self.limits = limits
        self.log = log
    }

    /// The engine, made when there is none.
    ///
    /// - Throws: 400 `compilation_error` when something is no function.
    private func engine() throws(StoreError) -> JavaScriptEngine {
        if let loaded { return loaded }
        let engine = JavaScriptEngine(limits: limits)
        do throws(JavaScriptError) {
            if let library = definitions.library {
                let root: JSON = ["views": ["lib": library]]
                _ = try engine.call("setRoot", root.encoded())
            }
            for rows in definitions.rows {
                if definitions.nativeMaps == nil { try check(engine.call("addMap", Array(rows.map.utf8))) }
                for source in rows.reduces where BuiltinReduce(source) == nil {
                    try check(engine.call("addReduce", Array(source.utf8)))
                }
            }
        } catch {
            throw .compilation(error.excess.map { "a function \($0.reason)" } ?? "\(error)")
        }
        loaded = engine
        return engine
    }

    private func check(_ answer: [UInt8]) throws(JavaScriptError) {
        guard let thrown = (try? JSON(parsing: answer))?["thrown"] else { return }
        throw .exception(thrown["reason"]?.stringValue ?? "does not compile")
    }

    /// Runs the map functions over the documents of a page that are there.
    ///
    /// - Throws: 500 with the document's id when a function takes too long or too much memory.
    func map(_ changes: ViewChanges) throws(StoreError) -> [Mapped] {
        let documents = changes.entries.filter { !$0.isGone }
        if documents.isEmpty { return [] }
        var results: [Mapped] = []
        var start = 0
        var limit = Int.max
        while start < documents.count {
            let end = limit < documents.count - start ? start + limit : documents.count
            var batch: [UInt8]
            if start == 0 && end == documents.count {
                batch = changes.text
            } else {
                let range = documents[start].document.lowerBound..<documents[end - 1].document.upperBound
                batch = [UInt8(ascii: "[")] + changes.text[range]
            }
            batch.append(UInt8(ascii: "]"))
            let engine = try engine()
            do throws(JavaScriptError) {
                let answer = try engine.call("map", batch)
                let count = HarnessAnswer.read(answer, log: log) { _ in }
                results.append(Mapped(answer: answer, count: count))
                start += count
            } catch {
                guard let excess = error.excess else { throw StoreError.failure("map_runtime_error", "\(error)") }
                if case .outOfMemory = error { loaded = nil }
                // One by one finds the document that is too much.
                if limit == 1 {
                    throw StoreError.failure(
                        excess.word,
                        "a map function \(excess.reason) on document \"\(documents[start].id)\" and was stopped")
                }
                limit = 1
            }
        }
        return results
    }

    /// Makes reduce calls.
    func run(_ calls: ReduceCalls) throws(StoreError) -> [[UInt8]] {
        do throws(StoreError) { return try calls.run(on: engine(), log: log) } catch {
            // It may still hold what was too much.
            loaded = nil
            throw error
        }
    }
}
