#if DEBUG
    import CouchDocument
    @testable import CouchServer

    /// Bodies of `_bulk_docs`, which are read row by row while they come.
    enum RowsFuzz {
        /// The first byte says how large the pieces are and how often rows are taken, the rest is the body.
        static func run(_ bytes: [UInt8]) {
            guard let head = bytes.first else { return }
            let body = Array(bytes.dropFirst())
            let size = Int(head & 63) + 1
            let takesOften = head & 64 == 0
            compare(body, size, takesOften)
            build(body, size, takesOften)
        }

        private static func split(_ body: [UInt8], _ size: Int, _ takesOften: Bool) -> (RowSplitter, [[UInt8]]) {
            var splitter = RowSplitter("docs")
            var texts: [[UInt8]] = []
            func take() {
                precondition(splitter.size + splitter.rest.count <= body.count, "more than came")
                let (text, ends) = splitter.takeRows()
                for (start, end) in zip([0] + ends, ends) { texts.append(Array(text[start..<end])) }
                precondition(!splitter.hasRows, "rows are left")
            }
            for start in stride(from: 0, to: body.count, by: size) {
                body[start..<min(start + size, body.count)].withUnsafeBytes { splitter.push($0) }
                if takesOften { take() }
            }
            take()
            return (splitter, texts)
        }

        /// In rows and rest it is well-formed if it is as a whole, and says the same.
        private static func compare(_ body: [UInt8], _ size: Int, _ takesOften: Bool) {
            // A row alone is two levels less deep.
            let depth = body.count(where: { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "[") })
            if depth >= JSON.maximumDepth { return }
            let (splitter, texts) = split(body, size, takesOften)
            let rows = texts.compactMap { try? JSON(parsing: $0) }
            let rest = try? JSON(parsing: splitter.rest)
            let whole = try? JSON(parsing: body)
            precondition(
                (rest != nil && rows.count == texts.count) == (whole != nil), "in rows it is well-formed and else not")
            guard let rest, let whole else { return }
            guard splitter.arrayCount > 0 else {
                precondition(rows.isEmpty && rest == whole, "rows of no array")
                return
            }
            precondition(rest.objectValue?.map(\.name) == whole.objectValue?.map(\.name), "other members")
            // The name twice, or written with escapes as well: the last one counts, and the server refuses what it sees.
            if splitter.arrayCount == 1, rest["docs"] == [], whole["docs"] != [] {
                precondition(whole["docs"] == .array(rows), "the rows are others")
            }
        }

        /// Values, one a line, that are put into a body come out of it.
        private static func build(_ lines: [UInt8], _ size: Int, _ takesOften: Bool) {
            let rows = lines.split(separator: UInt8(ascii: "\n")).compactMap { try? JSON(parsing: $0) }
            let names = ["new_edits", "do", "docs2", "x"]
            var members: JSONObject = [:]
            for (name, row) in zip(names, rows) { members[name] = row }
            let position = rows.count % (members.count + 1)
            var body = Array("{".utf8)
            var isFirst = true
            func add(_ name: String, _ value: [UInt8]) {
                body += Array((isFirst ? " " : " ,\r").utf8) + JSON.string(name).encoded() + Array("\t:\n".utf8) + value
                isFirst = false
            }
            for (index, member) in members.enumerated() {
                if index == position { add("docs", JSON.array(rows).encoded()) }
                add(member.name, member.value.encoded())
            }
            if position == members.count { add("docs", JSON.array(rows).encoded()) }
            body += Array(" } ".utf8)
            // What is nested as deep as may be is too deep in an array.
            guard (try? JSON(parsing: body)) != nil else { return }
            let (splitter, texts) = split(body, size, takesOften)
            precondition(splitter.arrayCount == 1, "the array is not found")
            precondition(texts.map { try? JSON(parsing: $0) } == rows, "other rows than went in")
            var wanted = members
            wanted["docs"] = []
            guard let rest = (try? JSON(parsing: splitter.rest))?.objectValue else {
                preconditionFailure("the rest is no object")
            }
            precondition(
                rest.count == wanted.count && wanted.allSatisfy { rest[$0.name] == $0.value },
                "other members than went in")
        }
    }
#endif
