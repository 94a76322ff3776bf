import CouchDocument

/// A reduce function of a view.
enum ViewReduce: Hashable, Sendable {
    case builtin(BuiltinReduce)
    /// The number of the function among those that the engine was given.
    case javaScript(Int)
}

/// Calls of JavaScript reduce functions, gathered so that many cross into JavaScript at once.
struct ReduceCalls: Sendable {
    private(set) var texts: [[UInt8]] = []

    var isEmpty: Bool { texts.isEmpty }

    /// `reduce(keys, values, false)` on rows of a leaf.
    mutating func reduce(_ function: Int, _ node: TreeNode, _ rows: some Sequence<TreeNode.Row>) {
        var keys: [UInt8] = []
        var values: [UInt8] = []
        for row in rows {
            let row = TreeRow(node: node, row: row)
            keys.append(UInt8(ascii: keys.isEmpty ? "[" : ","))
            keys.append(UInt8(ascii: "["))
            keys.append(contentsOf: row.key)
            keys.append(UInt8(ascii: ","))
            keys.append(contentsOf: JSON.string(row.id).encoded())
            keys.append(UInt8(ascii: "]"))
            values.append(UInt8(ascii: values.isEmpty ? "[" : ","))
            values.append(contentsOf: row.value)
        }
        keys.append(UInt8(ascii: "]"))
        values.append(UInt8(ascii: "]"))
        append(function, keys: keys, values: values)
    }

    /// `reduce(null, values, true)` on reductions.
    mutating func rereduce(_ function: Int, _ reductions: some Sequence<ArraySlice<UInt8>>) {
        var values: [UInt8] = []
        for value in reductions {
            values.append(UInt8(ascii: values.isEmpty ? "[" : ","))
            values.append(contentsOf: value)
        }
        values.append(UInt8(ascii: "]"))
        append(function, keys: Array("null".utf8), values: values)
    }

    private mutating func append(_ function: Int, keys: [UInt8], values: [UInt8]) {
        var text = Array("[\(function),\(keys.count + values.count),".utf8)
        text.append(contentsOf: keys)
        text.append(UInt8(ascii: ","))
        text.append(contentsOf: values)
        text.append(UInt8(ascii: "]"))
        texts.append(text)
    }

    /// Makes the calls and answers their results as JSON texts, in order. A function that throws gives `null`, as in
    /// CouchDB.
    ///
    /// - Throws: 500 when one call takes longer than the limit.
    func run(on engine: JavaScriptEngine, log: (String) -> Void) throws(StoreError) -> [[UInt8]] {
        var results: [[UInt8]] = []
        results.reserveCapacity(texts.count)
        // After a call that was stopped the rest goes one by one, so that only an endless one is to blame.
        var batchLimit = Int.max
        while results.count < texts.count {
            var batch: [UInt8] = [UInt8(ascii: "[")]
            for text in texts[results.count...].prefix(batchLimit) {
                if batch.count > 1 { batch.append(UInt8(ascii: ",")) }
                batch.append(contentsOf: text)
                if batch.count > 1 << 20 { break }
            }
            batch.append(UInt8(ascii: "]"))
            do throws(JavaScriptError) {
                let answer = try engine.call("reduce", batch)
                HarnessAnswer.read(answer, log: log) { cursor in
                    _ = cursor.take(UInt8(ascii: "["))
                    while cursor.peek() != UInt8(ascii: "]"), cursor.position < cursor.bytes.count {
                        results.append(Array(cursor.bytes[cursor.skipValue()]))
                        _ = cursor.take(UInt8(ascii: ","))
                    }
                }
            } catch {
                guard let excess = error.excess else {
                    throw .failure("reduce_error", "reduce function failed: \(error)")
                }
                if case .outOfMemory = error { batchLimit = 1 }
                if batchLimit == 1 {
                    throw .failure(excess.word, "reduce function \(excess.reason) and was stopped")
                }
                batchLimit = 1
            }
        }
        return results
    }
}

/// The frame of what the harness answers to a batch: `[count, [logged …], results]`.
enum HarnessAnswer {
    /// Hands over the results and answers the count.
    @discardableResult
    static func read(_ answer: [UInt8], log: (String) -> Void, _ body: (inout JSONCursor) -> Void) -> Int {
        answer.withUnsafeBufferPointer { buffer in
            var cursor = JSONCursor(buffer)
            _ = cursor.take(UInt8(ascii: "["))
            let count = Int(cursor.number())
            _ = cursor.take(UInt8(ascii: ","))
            let messages = cursor.skipValue()
            if messages.count > 2, let logged = try? JSON(parsing: buffer[messages]).arrayValue {
                for message in logged { log(message.stringValue ?? "") }
            }
            _ = cursor.take(UInt8(ascii: ","))
            body(&cursor)
            return count
        }
    }
}
