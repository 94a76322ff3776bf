import CouchDocument

/// Brings one index up to date. Lives on the index's JavaScript thread and owns its engine.
final class ViewIndexUpdate {
    // Documents and bytes that cross into JavaScript at once, and that are applied and committed at once.
    private static let batchDocuments = 500
    private static let batchBytes = 1 << 20
    private static let commitDocuments = 20_000
    private static let commitBytes = 32 << 20
    // With fewer changes a second thread costs more than it brings.
    private static let readAheadFrom = 2000

    private let definitions: ViewDefinitions
    private let engine: JavaScriptEngine
    private let functions: [[ViewReduce]]
    private let log: (String) -> Void

    private var ids: [String] = []
    private var documents: [[UInt8]] = []
    private var documentBytes = 0
    private var changes: [RowChanges]
    private var back = RowChanges()
    private var seen: Set<String> = []
    private var changedBytes = 0
    private var sequence = 0

    /// Makes an engine with the functions of these views.
    ///
    /// - Throws: 400 `compilation_error` when one is no function.
    init(_ definitions: ViewDefinitions, limits: JavaScriptLimits, log: @escaping (String) -> Void) throws {
        self.definitions = definitions
        self.log = log
        engine = JavaScriptEngine(limits: limits)
        changes = definitions.rows.map { _ in RowChanges() }
        if let library = definitions.library {
            let root: JSON = ["views": ["lib": library]]
            _ = try engine.call("setRoot", root.encoded())
        }
        var scripts = 0
        var functions: [[ViewReduce]] = []
        for rows in definitions.rows {
            if definitions.nativeMaps == nil { try Self.check(engine.call("addMap", Array(rows.map.utf8))) }
            var own: [ViewReduce] = []
            for source in rows.reduces {
                if let builtin = BuiltinReduce(source) {
                    own.append(.builtin(builtin))
                } else {
                    try Self.check(engine.call("addReduce", Array(source.utf8)))
                    own.append(.javaScript(scripts))
                    scripts += 1
                }
            }
            functions.append(own)
        }
        self.functions = functions
    }

    private static func check(_ answer: [UInt8]) throws(StoreError) {
        guard let thrown = (try? JSON(parsing: answer))?["thrown"] else { return }
        throw .compilation(thrown["reason"]?.stringValue ?? "a function does not compile")
    }

    /// The functions that reduce the rows of a map function.
    func reductions(ofRows number: Int) -> TreeReductions {
        TreeReductions(functions: functions[number], engine: engine, log: log)
    }

    /// Runs reduce calls for a reader.
    func run(_ calls: ReduceCalls) throws(StoreError) -> [[UInt8]] { try calls.run(on: engine, log: log) }

    /// Takes in the changes after `sequence`, up to the end of the log, which was at `end` of late; `committed` hears of
    /// every commit.
    func run(
        from sequence: Int, end: Int, source: any ViewSource, file: ViewIndexFile, isCancelled: () -> Bool,
        committed: (Int) -> Void
    ) throws {
        forget()
        self.sequence = sequence
        var position = sequence
        func flush() throws {
            try mapDocuments()
            guard self.sequence > position else { return }
            position = self.sequence
            try commit(to: file)
            committed(position)
        }
        func takeIn(_ sequence: Int, _ id: String, _ document: [UInt8]?) throws -> Bool {
            // A document that was changed once more meanwhile: its rows must be in the tree before they can be replaced.
            if seen.contains(id) { try flush() }
            try take(id, isWanted(id) ? document : nil)
            self.sequence = sequence
            if seen.count >= Self.commitDocuments || changedBytes + documentBytes > Self.commitBytes { try flush() }
            return !isCancelled()
        }
        if end - sequence < Self.readAheadFrom {
            try source.readChanges(after: sequence, takeIn)
        } else {
            let changes = ChangesAhead(of: source, after: sequence)
            defer { changes.cancel() }
            reading: while let page = try changes.next() {
                for change in page {
                    if try !takeIn(change.sequence, change.id, change.document) { break reading }
                }
            }
        }
        try flush()
    }

    private func isWanted(_ id: String) -> Bool {
        definitions.includesDesignDocuments || !id.hasPrefix("_design/")
    }

    private func forget() {
        ids = []
        documents = []
        documentBytes = 0
        for index in changes.indices { changes[index].removeAll() }
        back.removeAll()
        seen = []
        changedBytes = 0
    }

    private func take(_ id: String, _ document: [UInt8]?) throws {
        seen.insert(id)
        guard let document else {
            remember(id, [])
            return
        }
        ids.append(id)
        documents.append(document)
        documentBytes += document.count
        if ids.count >= Self.batchDocuments || documentBytes >= Self.batchBytes { try mapDocuments() }
    }

    /// Where a document's rows are, for its next change.
    private func remember(_ id: String, _ entry: [UInt8]) {
        let position = RowPosition.before(sortKey: [], id: id)
        back.insert(position: position, sortLength: 0, key: EmptyCollection<UInt8>(), value: entry)
        changedBytes += entry.count + position.count
    }

    /// Runs the map functions over the gathered documents.
    private func mapDocuments() throws {
        if let maps = definitions.nativeMaps {
            mapNatively(maps)
            return
        }
        var start = 0
        var limit = Int.max
        while start < documents.count {
            let end = limit < documents.count - start ? start + limit : documents.count
            var batch: [UInt8] = []
            batch.reserveCapacity(documentBytes + documents.count + 2)
            for document in documents[start..<end] {
                batch.append(UInt8(ascii: batch.isEmpty ? "[" : ","))
                batch.append(contentsOf: document)
            }
            batch.append(UInt8(ascii: "]"))
            do throws(JavaScriptError) {
                start += collect(try engine.call("map", batch), ids[start..<end])
            } catch {
                guard case .timedOut = error else { throw StoreError.failure("map_runtime_error", "\(error)") }
                // One by one finds the document that never ends.
                if limit == 1 {
                    throw StoreError.failure(
                        "timeout", "a map function took too long on document \"\(ids[start])\" and was stopped")
                }
                limit = 1
            }
        }
        ids.removeAll(keepingCapacity: true)
        documents.removeAll(keepingCapacity: true)
        documentBytes = 0
    }

    private func mapNatively(_ maps: [any NativeMap]) {
        for (id, document) in zip(ids, documents) {
            var entry: [UInt8] = []
            for (number, map) in maps.enumerated() {
                var text: [UInt8] = [UInt8(ascii: "[")]
                document.withUnsafeBufferPointer { document in
                    map.emitRows(of: document, id: id) { key, value in
                        text += key + [UInt8(ascii: ",")] + value + [UInt8(ascii: ",")]
                    }
                }
                guard text.count > 1 else { continue }
                text.append(UInt8(ascii: "]"))
                text.withUnsafeBufferPointer { text in
                    var cursor = JSONCursor(text)
                    collectRows(&cursor, number, id, &entry)
                }
            }
            remember(id, entry)
        }
        ids.removeAll(keepingCapacity: true)
        documents.removeAll(keepingCapacity: true)
        documentBytes = 0
    }

    /// Takes the emitted rows out of the harness' answer; answers how many documents it got through.
    private func collect(_ answer: [UInt8], _ ids: ArraySlice<String>) -> Int {
        var entries = [[UInt8]](repeating: [], count: ids.count)
        let count = HarnessAnswer.read(answer, log: log) { cursor in
            _ = cursor.take(UInt8(ascii: "["))
            for number in definitions.rows.indices {
                _ = cursor.take(UInt8(ascii: "["))
                var index = 0
                while cursor.peek() != UInt8(ascii: "]"), cursor.position < cursor.bytes.count {
                    if cursor.peek() == UInt8(ascii: "[") {
                        collectRows(&cursor, number, ids[ids.startIndex + index], &entries[index])
                    } else {
                        _ = cursor.skipValue()
                    }
                    _ = cursor.take(UInt8(ascii: ","))
                    index += 1
                }
                _ = cursor.take(UInt8(ascii: "]"))
                _ = cursor.take(UInt8(ascii: ","))
            }
        }
        for (index, id) in ids.prefix(count).enumerated() { remember(id, entries[index]) }
        return count
    }

    private struct Emitted {
        let sortKey: [UInt8]
        let key: Range<Int>
        let value: Range<Int>
    }

    private func collectRows(_ cursor: inout JSONCursor, _ number: Int, _ id: String, _ entry: inout [UInt8]) {
        var rows: [Emitted] = []
        let order = definitions.rows[number].order
        var prefix: [UInt8] = []
        if definitions.isPartitioned {
            guard let partition = Partition.name(ofID: id) else {
                _ = cursor.skipValue()
                return
            }
            prefix = ViewQueryPlan.partitionPrefix(partition)
        }
        _ = cursor.take(UInt8(ascii: "["))
        while cursor.peek() != UInt8(ascii: "]"), cursor.position < cursor.bytes.count {
            let key = cursor.skipValue()
            _ = cursor.take(UInt8(ascii: ","))
            let value = cursor.skipValue()
            _ = cursor.take(UInt8(ascii: ","))
            var sortKey = prefix
            sortKey.reserveCapacity(prefix.count + key.count * 2 + 8)
            CollationKey.append(UnsafeBufferPointer(rebasing: cursor.bytes[key]), order: order, to: &sortKey)
            rows.append(Emitted(sortKey: sortKey, key: key, value: value))
        }
        _ = cursor.take(UInt8(ascii: "]"))
        if rows.count > 1 { sort(&rows, cursor.bytes) }
        entry.appendVarint(number)
        entry.appendVarint(rows.count)
        var ordinal = 0
        var position: [UInt8] = []
        for (index, row) in rows.enumerated() {
            ordinal = index > 0 && rows[index - 1].sortKey == row.sortKey ? ordinal + 1 : 0
            position.removeAll(keepingCapacity: true)
            RowPosition.append(sortKey: row.sortKey, id: id, ordinal: ordinal, to: &position)
            changes[number].insert(
                position: position, sortLength: row.sortKey.count, key: cursor.bytes[row.key],
                value: cursor.bytes[row.value])
            entry.appendVarint(ordinal)
            entry.appendVarint(row.sortKey.count)
            entry.append(contentsOf: row.sortKey)
            changedBytes += position.count + row.key.count + row.value.count + 8
        }
    }

    /// Rows of one document and equal key come in the order of Erlang's terms, by value, not in the order of their emits
    /// (couch_mrview_updater sorts them; recording views_map "one document, equal keys").
    private func sort(_ rows: inout [Emitted], _ bytes: UnsafeBufferPointer<UInt8>) {
        func raw(_ row: Emitted) -> [UInt8] {
            var result: [UInt8] = []
            CollationKey.append(UnsafeBufferPointer(rebasing: bytes[row.key]), order: .raw, to: &result)
            CollationKey.append(UnsafeBufferPointer(rebasing: bytes[row.value]), order: .raw, to: &result)
            return result
        }
        rows.sort { left, right in
            if left.sortKey != right.sortKey { return left.sortKey.lexicographicallyPrecedes(right.sortKey) }
            return raw(left).lexicographicallyPrecedes(raw(right))
        }
    }

    /// Puts what was gathered into the trees and commits it with the sequence.
    private func commit(to file: ViewIndexFile) throws {
        defer { forget() }
        try file.write { snapshot in
            var header = try snapshot.header()
            header.sequence = sequence
            try removeOldRows(header, snapshot)
            for (number, var own) in changes.enumerated() where !own.isEmpty {
                own.sort()
                try apply(own, to: number + 1, reductions(ofRows: number), &header, snapshot)
            }
            back.sort()
            if !back.isEmpty {
                try apply(
                    back, to: 0, TreeReductions(functions: [], engine: nil, log: log), &header, snapshot)
            }
            try snapshot.save(header)
        }
    }

    private func apply(
        _ changes: RowChanges, to number: Int, _ reductions: TreeReductions, _ header: inout ViewIndexFile.Header,
        _ snapshot: ViewIndexFile.Snapshot
    ) throws {
        var next = header.nextNode
        let writer = TreeWriter(
            storage: .init(
                load: snapshot.node, save: snapshot.save(node:_:), delete: snapshot.delete(node:),
                nextID: {
                    defer { next += 1 }
                    return next
                }),
            reductions: reductions)
        let result = try writer.apply(changes, root: header.trees[number].root)
        header.nextNode = next
        header.trees[number] = .init(root: result.root, count: result.count, size: result.size)
    }

    /// Looks up where the rows of the changed documents were, and has them taken out. The back index is left with the
    /// documents that have rows.
    private func removeOldRows(_ header: ViewIndexFile.Header, _ snapshot: ViewIndexFile.Snapshot) throws {
        back.sort()
        let known = TreeReader(
            root: header.trees[0].root, totalRows: header.trees[0].count, reduceCount: 0, load: snapshot.node)
        var kept = RowChanges()
        for item in back.items {
            let position = Array(back.bytes[item.position])
            let entry = back.bytes[item.position.upperBound..<item.row.upperBound]
            let old = try known.value(at: position)
            if let old { takeOut(old, idBytes: position) }
            if !entry.isEmpty {
                kept.insert(position: position, sortLength: 0, key: EmptyCollection<UInt8>(), value: entry)
            } else if old != nil {
                kept.remove(position: position)
            }
        }
        back = kept
    }

    private func takeOut(_ entry: ArraySlice<UInt8>, idBytes: [UInt8]) {
        entry.withUnsafeBufferPointer { buffer in
            var reader = ByteReader(buffer)
            var position: [UInt8] = []
            while !reader.isAtEnd {
                let number = reader.varint()
                for _ in 0..<reader.varint() {
                    let ordinal = reader.varint()
                    let length = reader.varint()
                    position.removeAll(keepingCapacity: true)
                    position.append(contentsOf: buffer[reader.take(length)])
                    position.append(contentsOf: idBytes)
                    withUnsafeBytes(of: UInt32(ordinal).bigEndian) { position.append(contentsOf: $0) }
                    changes[number].remove(position: position)
                }
            }
        }
    }
}
