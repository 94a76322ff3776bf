/// Takes in the rows that map functions emit, document by document, and makes of them the changes of an index' trees.
struct RowGatherer {
    private struct Emitted {
        /// In `sortKeys`.
        let sortKey: Range<Int>
        /// In the text that the rows stand in.
        let key: Range<Int>
        let value: Range<Int>
    }

    private let orders: [CollationKey.Order]
    private let isPartitioned: Bool
    /// Rows that come and go, one list for each map function.
    var changes: [RowChanges]
    /// Document id → where its rows are, for its next change.
    var back = RowChanges()

    // Of the document that is being taken in.
    private var idBytes: [UInt8] = []
    /// What all its sort keys begin with: its partition, in a partitioned view; `nil` when it has none and so no rows.
    private var prefix: [UInt8]? = []
    private var entry: [UInt8] = []
    private var emitted: [Emitted] = []
    private var sortKeys: [UInt8] = []

    init(_ definitions: ViewDefinitions) {
        orders = definitions.rows.map(\.order)
        isPartitioned = definitions.isPartitioned
        changes = definitions.rows.map { _ in RowChanges() }
    }

    var documentCount: Int { back.items.count }
    /// Bytes of memory that are in use.
    var size: Int { changes.reduce(back.size) { $0 + $1.size } }

    mutating func removeAll() {
        for index in changes.indices { changes[index].removeAll() }
        back.removeAll()
    }

    /// A document's rows are to follow.
    mutating func begin(_ id: String) {
        idBytes.removeAll(keepingCapacity: true)
        CollationKey.appendEscaped(id.utf8, to: &idBytes)
        entry.removeAll(keepingCapacity: true)
        if isPartitioned { prefix = Partition.name(ofID: id).map { ViewQueryPlan.partitionPrefix($0) } }
    }

    /// All rows of the document are there.
    mutating func end() {
        entry.withUnsafeBufferPointer { entry in
            idBytes.withUnsafeBufferPointer { back.insert(sortKey: nil, id: $0, ordinal: nil, key: nil, value: entry) }
        }
    }

    /// A row of the document. The ranges lie in the text that ``finish(_:_:)`` is told.
    mutating func emit(_ number: Int, key: Range<Int>, value: Range<Int>, of text: UnsafeBufferPointer<UInt8>) {
        guard let prefix else { return }
        let start = sortKeys.count
        sortKeys.append(contentsOf: prefix)
        CollationKey.append(UnsafeBufferPointer(rebasing: text[key]), order: orders[number], to: &sortKeys)
        emitted.append(Emitted(sortKey: start..<sortKeys.count, key: key, value: value))
    }

    /// All rows of the document by one map function are there.
    mutating func finish(_ number: Int, _ text: UnsafeBufferPointer<UInt8>) {
        guard !emitted.isEmpty else { return }
        if emitted.count > 1 { sort(text) }
        entry.appendVarint(number)
        entry.appendVarint(emitted.count)
        sortKeys.withUnsafeBufferPointer { sortKeys in
            idBytes.withUnsafeBufferPointer { id in
                var ordinal = 0
                var last: UnsafeBufferPointer<UInt8>?
                for row in emitted {
                    let sortKey = UnsafeBufferPointer(rebasing: sortKeys[row.sortKey])
                    if let last, compareBytes(last, sortKey) == 0 { ordinal += 1 } else { ordinal = 0 }
                    last = sortKey
                    changes[number].insert(
                        sortKey: sortKey, id: id, ordinal: ordinal, key: UnsafeBufferPointer(rebasing: text[row.key]),
                        value: UnsafeBufferPointer(rebasing: text[row.value]))
                    entry.appendVarint(ordinal)
                    entry.appendVarint(sortKey.count)
                    entry.append(contentsOf: sortKey)
                }
            }
        }
        emitted.removeAll(keepingCapacity: true)
        sortKeys.removeAll(keepingCapacity: true)
    }

    /// Rows of one document and equal key come in the order of Erlang's terms, by value, not in the order of their emits
    /// (couch_mrview_updater sorts them; recording views_map "one document, equal keys").
    private mutating func sort(_ text: UnsafeBufferPointer<UInt8>) {
        func raw(_ row: Emitted) -> [UInt8] {
            var result: [UInt8] = []
            CollationKey.append(UnsafeBufferPointer(rebasing: text[row.key]), order: .raw, to: &result)
            CollationKey.append(UnsafeBufferPointer(rebasing: text[row.value]), order: .raw, to: &result)
            return result
        }
        sortKeys.withUnsafeBufferPointer { sortKeys in
            emitted.sort { left, right in
                let order = compareBytes(
                    UnsafeBufferPointer(rebasing: sortKeys[left.sortKey]),
                    UnsafeBufferPointer(rebasing: sortKeys[right.sortKey]))
                return order == 0 ? raw(left).lexicographicallyPrecedes(raw(right)) : order < 0
            }
        }
    }
}

extension RowGatherer {
    /// Takes in what map functions in JavaScript emitted for those documents of a page.
    mutating func take(_ mapped: ViewEngine.Mapped, _ entries: some Collection<ViewChanges.Entry>) {
        _ = HarnessAnswer.read(mapped.answer, log: { _ in }) { cursor in
            _ = cursor.take(UInt8(ascii: "["))
            for entry in entries {
                begin(entry.id)
                for number in orders.indices {
                    if cursor.peek() == UInt8(ascii: "[") { takeRows(&cursor, number) } else { _ = cursor.skipValue() }
                    _ = cursor.take(UInt8(ascii: ","))
                }
                end()
            }
        }
    }

    private mutating func takeRows(_ cursor: inout JSONCursor, _ number: Int) {
        _ = cursor.take(UInt8(ascii: "["))
        while cursor.peek() != UInt8(ascii: "]"), cursor.position < cursor.bytes.count {
            let key = cursor.skipValue()
            _ = cursor.take(UInt8(ascii: ","))
            let value = cursor.skipValue()
            _ = cursor.take(UInt8(ascii: ","))
            emit(number, key: key, value: value, of: cursor.bytes)
        }
        _ = cursor.take(UInt8(ascii: "]"))
        finish(number, cursor.bytes)
    }

    /// Takes in what native map functions emit for the documents of a page.
    mutating func take(_ changes: ViewChanges, mappedBy maps: [any NativeMap]) {
        var text: [UInt8] = []
        changes.text.withUnsafeBufferPointer { documents in
            for entry in changes.entries where !entry.isGone {
                begin(entry.id)
                for (number, map) in maps.enumerated() {
                    var rows: [(key: Range<Int>, value: Range<Int>)] = []
                    text.removeAll(keepingCapacity: true)
                    map.emitRows(of: UnsafeBufferPointer(rebasing: documents[entry.document]), id: entry.id) {
                        key, value in
                        let start = text.count
                        text += key
                        text += value
                        rows.append((start..<start + key.count, start + key.count..<text.count))
                    }
                    text.withUnsafeBufferPointer { text in
                        for row in rows { emit(number, key: row.key, value: row.value, of: text) }
                        finish(number, text)
                    }
                }
                end()
            }
        }
    }
}
