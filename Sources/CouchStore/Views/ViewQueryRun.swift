import CouchDocument

/// Answers a planned query from one snapshot of an index.
struct ViewQueryRun {
    let plan: ViewQueryPlan
    let reader: TreeReader

    private func ranks(_ range: ViewQueryPlan.Range) throws -> Range<Int> {
        let lower = try range.lower.map { try reader.rank(of: $0) } ?? 0
        let upper = try range.upper.map { try reader.rank(of: $0) } ?? reader.totalRows
        return lower..<max(lower, upper)
    }

    // MARK: Rows

    /// Where the rows of the answer stand, in reading order, and the offset of the first one.
    func ranks() throws -> (offset: Int, ranks: [Range<Int>]) {
        var result: [Range<Int>] = []
        var left = plan.limit
        var offset: Int?
        var last = 0
        var skip = plan.skip
        for range in plan.ranges {
            let ranks = try ranks(range)
            last = plan.descending ? reader.totalRows - ranks.upperBound : ranks.lowerBound
            if offset == nil && !ranks.isEmpty { offset = last }
            let skipped = min(skip, ranks.count)
            skip -= skipped
            let count = min(ranks.count - skipped, left)
            guard count > 0 else {
                if left <= 0 { break }
                continue
            }
            left -= count
            let start = plan.descending ? ranks.upperBound - skipped - count : ranks.lowerBound + skipped
            result.append(start..<start + count)
        }
        return (min(reader.totalRows, (offset ?? last) + plan.skip), result)
    }

    /// The rows of ranks, in reading order.
    func rows(_ ranks: [Range<Int>]) throws -> [ViewRow] {
        var rows: [ViewRow] = []
        for range in ranks {
            if plan.descending {
                try appendBackwards(range, to: &rows)
            } else {
                for row in try reader.rows(range) { rows.append(ViewRow(row)) }
            }
        }
        return rows
    }

    /// Rows from the last to the first; but those of one key and document keep their order among themselves, as CouchDB
    /// keeps them in one piece.
    private func appendBackwards(_ ranks: Range<Int>, to rows: inout [ViewRow]) throws {
        let whole = try wholeRuns(ranks)
        var reversed: [TreeRow] = []
        var run: [TreeRow] = []
        for row in try reader.rows(whole).reversed() {
            if let last = run.last, last.run != row.run {
                reversed += run.reversed()
                run = []
            }
            run.append(row)
        }
        reversed += run.reversed()
        let start = whole.upperBound - ranks.upperBound
        for row in reversed[start..<start + ranks.count] { rows.append(ViewRow(row)) }
    }

    private func wholeRuns(_ ranks: Range<Int>) throws -> Range<Int> {
        let first = try reader.rank(of: Array(reader.row(at: ranks.lowerBound).run))
        let last = try reader.rank(of: Array(reader.row(at: ranks.upperBound - 1).run) + [0xFF])
        return first..<max(last, ranks.upperBound)
    }

    // MARK: Groups

    /// A group: its key, and what has to be reduced for its value.
    struct Group: Sendable {
        enum Piece: Sendable {
            case kept([UInt8])
            /// The result of a call.
            case call(Int)
        }
        let key: [UInt8]
        var pieces: [Piece] = []
    }

    /// What is still to be read of the groups that were asked for.
    struct GroupsLeft: Sendable {
        /// In reading order; none of them is empty.
        var ranks: [Range<Int>]
        var skip: Int
        var limit: Int

        var isEmpty: Bool { ranks.isEmpty || limit <= 0 }
    }

    /// All groups.
    func groupsLeft() throws -> GroupsLeft {
        GroupsLeft(ranks: try plan.ranges.map(ranks).filter { !$0.isEmpty }, skip: plan.skip, limit: plan.limit)
    }

    /// The next groups of a view reduced by a built-in, as rows: a page of them.
    func reduced(
        by builtin: BuiltinReduce, position: Int, _ grouping: ViewIndexQuery.Grouping, _ left: inout GroupsLeft
    ) throws -> [ViewRow] {
        var rows: [ViewRow] = []
        try forEachGroup(grouping, &left) { key, ranks in
            var kept: [ArraySlice<UInt8>] = []
            for part in try reader.parts(ranks, reduce: position) {
                switch part {
                case .kept(let bytes): kept.append(bytes)
                case .rows(let leaf, let rows): kept.append(builtin.reduce(leaf, rows)[...])
                }
            }
            let total = kept.count == 1 ? Array(kept[0]) : builtin.merge(kept)
            let value = try builtin.value(of: total)
            rows.append(ViewRow(id: nil, key: key[...], value: value[...]))
            return key.count + value.count
        }
        return rows
    }

    /// The next groups of a view reduced by JavaScript, a page of them: the calls that have to be made on rows, and what each
    /// group is of.
    func groups(
        function: Int, position: Int, _ grouping: ViewIndexQuery.Grouping, _ left: inout GroupsLeft
    ) throws -> (groups: [Group], calls: ReduceCalls) {
        var calls = ReduceCalls()
        var groups: [Group] = []
        try forEachGroup(grouping, &left) { key, ranks in
            var group = Group(key: key)
            var size = key.count
            for part in try reader.parts(ranks, reduce: position) {
                switch part {
                case .kept(let bytes):
                    group.pieces.append(.kept(Array(bytes)))
                    size += bytes.count
                case .rows(let leaf, let rows):
                    group.pieces.append(.call(calls.texts.count))
                    calls.reduce(function, leaf, leaf.rows[rows])
                    size += calls.texts.last?.count ?? 0
                }
            }
            groups.append(group)
            return size
        }
        return (groups, calls)
    }

    /// Goes on over the groups that are left, until they are a page.
    ///
    /// - Parameter body: Answers about how many bytes the group takes.
    private func forEachGroup(
        _ grouping: ViewIndexQuery.Grouping, _ left: inout GroupsLeft,
        _ body: (_ key: [UInt8], _ ranks: Range<Int>) throws -> Int
    ) throws {
        var rows = ViewRowPages.length
        var bytes = ViewRowPages.bytes
        while rows > 0, bytes > 0, left.limit > 0, let ranks = left.ranks.first {
            let group = try nextGroup(grouping, ranks)
            if left.skip > 0 {
                left.skip -= 1
            } else {
                left.limit -= 1
                rows -= 1
                bytes -= try body(try groupKey(grouping, group), group)
            }
            let rest =
                plan.descending ? ranks.lowerBound..<group.lowerBound : group.upperBound..<ranks.upperBound
            if rest.isEmpty { left.ranks.removeFirst() } else { left.ranks[0] = rest }
        }
    }

    /// The first group of a range in reading order.
    private func nextGroup(_ grouping: ViewIndexQuery.Grouping, _ ranks: Range<Int>) throws -> Range<Int> {
        if case .none = grouping { return ranks }
        let row = try reader.row(at: plan.descending ? ranks.upperBound - 1 : ranks.lowerBound)
        var prefix = row.sortKey
        if case .level(let level) = grouping,
            let shared = CollationKey.groupPrefix(
                of: row.sortKey.dropFirst(plan.prefix.count), level: level, order: plan.order)
        {
            prefix = row.sortKey[..<shared.endIndex]
        }
        if plan.descending {
            return max(ranks.lowerBound, try reader.rank(of: Array(prefix)))..<ranks.upperBound
        }
        let end = try reader.rank(of: RowPosition.after(sortKey: prefix))
        return ranks.lowerBound..<min(ranks.upperBound, max(end, ranks.lowerBound + 1))
    }

    private func groupKey(_ grouping: ViewIndexQuery.Grouping, _ ranks: Range<Int>) throws -> [UInt8] {
        switch grouping {
        case .none: return Array("null".utf8)
        case .exact: return Array(try reader.row(at: ranks.lowerBound).key)
        case .level(let level):
            let key = try reader.row(at: ranks.lowerBound).key
            return key.withUnsafeBufferPointer { buffer in
                var cursor = JSONCursor(buffer)
                guard cursor.take(UInt8(ascii: "[")) else { return Array(key) }
                var end = cursor.position
                for _ in 0..<level {
                    if cursor.peek() == UInt8(ascii: "]") { return Array(key) }
                    end = cursor.skipValue().upperBound
                    _ = cursor.take(UInt8(ascii: ","))
                }
                return Array(buffer[0..<end]) + [UInt8(ascii: "]")]
            }
        }
    }
}

extension ViewRow {
    init(_ row: TreeRow) { self.init(id: row.id, key: row.key, value: row.value) }
}
