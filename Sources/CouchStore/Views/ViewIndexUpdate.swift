/// Brings one index up to date: reads changed documents, has them mapped, and puts their rows into the trees.
///
/// Works as a line of three: one thread reads and prepares, the JavaScript thread maps, and the caller's thread makes the
/// keys and writes, each a few pages ahead of the next.
final class ViewIndexUpdate {
    // Memory for rows that are sorted at once: in pieces of an index that is built for the first time, or to be applied and
    // committed.
    private static let batchSize = 16 << 20
    // Pages that are on their way through JavaScript.
    private static let pagesUnderWay = 3

    private let definitions: ViewDefinitions
    private let scripts: ViewScripts
    private let functions: [[ViewReduce]]
    private var rows: RowGatherer

    init(_ definitions: ViewDefinitions, scripts: ViewScripts) {
        self.definitions = definitions
        self.scripts = scripts
        functions = definitions.reduces
        rows = RowGatherer(definitions)
    }

    /// Takes in the changes after `sequence` and up to `end`; `committed` hears of every commit.
    func run(
        from sequence: Int, through end: Int, source: any ViewSource, file: ViewIndexFile, isCancelled: () -> Bool,
        committed: (Int) -> Void
    ) throws {
        let ahead = ChangesAhead(of: source, after: sequence, through: end)
        defer { ahead.cancel() }
        rows.removeAll()
        var reached = sequence
        let isFirst = try file.readNow { try $0.header().trees.allSatisfy { $0.root == 0 } }
        var runs: RowRuns?
        func flush() throws {
            if isFirst {
                let sorted = try runs ?? RowRuns(beside: file.path)
                runs = sorted
                try sorted.append(takeSortedRows())
            } else {
                try commit(reached, to: file)
                committed(reached)
            }
        }
        var underWay: [(page: ViewChanges, mapped: Delivery<[ViewEngine.Mapped]>)] = []
        func collectFirst() throws {
            let (page, mapped) = underWay.removeFirst()
            try collect(page, mapped.wait())
            reached = page.lastSequence
            if rows.size > Self.batchSize { try flush() }
        }
        while !isCancelled(), let next = try ahead.next() {
            let page = wanted(next)
            underWay.append((page, map(page)))
            if underWay.count > Self.pagesUnderWay { try collectFirst() }
        }
        while !underWay.isEmpty { try collectFirst() }
        if let runs {
            try runs.append(takeSortedRows())
            if isCancelled() { return }
            try build(runs, reached, file)
        } else if rows.documentCount > 0 {
            try commit(reached, to: file)
        }
        committed(reached)
    }

    /// The gathered rows of all trees of an index that has none yet.
    private func takeSortedRows() -> [RowChanges] {
        defer { rows.removeAll() }
        rows.back.keep(where: Self.hasRows)
        return ([rows.back] + rows.changes).map { tree in
            var tree = tree
            tree.sort()
            return tree
        }
    }

    /// Whether the document of an entry of the back index has rows.
    private static func hasRows(_ item: RowChanges.Item) -> Bool { item.row.upperBound > item.position.upperBound }

    /// Makes all trees of sorted rows. Nobody sees their nodes before the header speaks of them.
    private func build(_ runs: RowRuns, _ sequence: Int, _ file: ViewIndexFile) throws {
        var header = try file.readNow { try $0.header() }
        try file.write { try $0.deleteNodes(from: header.nextNode) }
        for number in header.trees.indices {
            var builder = TreeBuilder(nextID: header.nextNode, reductions: reductions(ofTree: number)) { nodes in
                try file.write { snapshot in
                    for node in nodes { try snapshot.save(node: node.id, node.body) }
                }
            }
            try runs.merge(tree: number) { try builder.add($0) }
            header.trees[number] = try builder.finish()
            header.nextNode = builder.nextID
        }
        header.sequence = sequence
        try file.write { [header] in try $0.save(header) }
    }

    private func reductions(ofTree number: Int) -> TreeReductions {
        TreeReductions(functions: number == 0 ? [] : functions[number - 1], scripts: scripts)
    }

    /// Takes in one page, and commits it as the state of that sequence.
    func run(_ page: ViewChanges, as sequence: Int, file: ViewIndexFile) throws {
        rows.removeAll()
        let page = wanted(page)
        try collect(page, map(page).wait())
        try commit(sequence, to: file)
    }

    private func wanted(_ page: ViewChanges) -> ViewChanges {
        definitions.includesDesignDocuments ? page : page.withoutDesignDocuments()
    }

    private func map(_ page: ViewChanges) -> Delivery<[ViewEngine.Mapped]> {
        if definitions.nativeMaps != nil { return Delivery(.success([])) }
        return scripts.begin { engine in try engine.map(page) }
    }

    private func collect(_ page: ViewChanges, _ mapped: [ViewEngine.Mapped]) {
        // Before the others: what was purged may have been written anew.
        for entry in page.entries where entry.isGone {
            rows.begin(entry.id)
            rows.end()
        }
        if let maps = definitions.nativeMaps {
            rows.take(page, mappedBy: maps)
            return
        }
        var rest = page.entries.filter { !$0.isGone }[...]
        for part in mapped {
            rows.take(part, rest.prefix(part.count))
            rest = rest.dropFirst(part.count)
        }
    }

    /// Puts what was gathered into the trees and commits it with the sequence.
    private func commit(_ sequence: Int, to file: ViewIndexFile) throws {
        defer { rows.removeAll() }
        rows.back.sort()
        try file.write { snapshot in
            var header = try snapshot.header()
            header.sequence = sequence
            try removeOldRows(header, snapshot)
            for number in rows.changes.indices where !rows.changes[number].isEmpty {
                rows.changes[number].sort()
                try apply(rows.changes[number], to: number + 1, &header, snapshot)
            }
            if !rows.back.isEmpty { try apply(rows.back, to: 0, &header, snapshot) }
            try snapshot.save(header)
        }
    }

    private func apply(
        _ changes: RowChanges, to number: Int, _ header: inout ViewIndexFile.Header, _ snapshot: ViewIndexFile.Snapshot
    ) throws {
        let reductions = reductions(ofTree: number)
        guard header.trees[number].root != 0 else {
            var builder = TreeBuilder(nextID: header.nextNode, reductions: reductions) { nodes in
                for node in nodes { try snapshot.save(node: node.id, node.body) }
            }
            try changes.forEachRow { try builder.add($0) }
            header.trees[number] = try builder.finish()
            header.nextNode = builder.nextID
            return
        }
        var next = header.nextNode
        let writer = TreeWriter(
            storage: .init(
                load: snapshot.node, save: snapshot.save(node:_:), delete: snapshot.delete(node:),
                nextID: {
                    defer { next += 1 }
                    return next
                }),
            reductions: reductions)
        header.trees[number] = try writer.apply(changes, root: header.trees[number].root)
        header.nextNode = next
    }

    /// Looks up where the rows of the changed documents were, and has them taken out. The back index is left with the
    /// documents that have rows.
    private func removeOldRows(_ header: ViewIndexFile.Header, _ snapshot: ViewIndexFile.Snapshot) throws {
        let known = TreeReader(
            root: header.trees[0].root, totalRows: header.trees[0].count, reduceCount: 0, load: snapshot.node)
        let back = rows.back
        var removals: [[UInt8]] = []
        for item in back.items where header.trees[0].root != 0 {
            let position = Array(back.bytes[item.position])
            guard let old = try known.value(at: position) else { continue }
            takeOut(old, idBytes: position)
            if !Self.hasRows(item) { removals.append(position) }
        }
        // A document without rows has no entry.
        rows.back.keep(where: Self.hasRows)
        for position in removals { rows.back.remove(position: position) }
        if !removals.isEmpty { rows.back.sort() }
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
                    RowPosition.append(ordinal: ordinal, to: &position)
                    rows.changes[number].remove(position: position)
                }
            }
        }
    }
}
