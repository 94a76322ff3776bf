#if DEBUG
    import CouchDocument
    @testable import CouchServer
    @testable import CouchStore

    enum JSONFuzz {
        static func run(_ bytes: [UInt8]) {
            guard let value = try? JSON(parsing: bytes) else {
                precondition((try? JSON(parsing: bytes, numbers: .canonical)) == nil, "canonical takes more")
                return
            }
            // What was kept verbatim comes back as it is, and reading it again changes nothing.
            let text = value.encoded()
            precondition((try? JSON(parsing: text)) == value, "written and read is another value")
            precondition((try? JSON(parsing: value.prettyPrinted())) == value, "pretty and read is another value")
            guard let canonical = try? JSON(parsing: bytes, numbers: .canonical) else { return }
            precondition(
                (try? JSON(parsing: canonical.encoded(), numbers: .canonical)) == canonical, "canonical is not stable")
            let body = canonical.objectValue ?? ["value": canonical]
            let first = Revision(editing: nil, isDeleted: false, body: body)
            precondition(Revision(first.description) == first)
            precondition(Revision(editing: first, isDeleted: true, body: body).generation == 2)
            if let draft = try? DocumentDraft(canonical, limit: 1 << 20) {
                _ = try? draft.edit(isReplicated: false)
                _ = try? draft.edit(isReplicated: true)
            }
        }
    }

    enum SortKeyFuzz {
        static func run(_ bytes: [UInt8]) {
            for order in [CollationKey.Order.unicode, .raw] {
                // Text that is no JSON has no meaning, but must not lead out of bounds.
                var key: [UInt8] = []
                bytes.withUnsafeBufferPointer { CollationKey.append($0, order: order, to: &key) }
                let (left, right) = halves(bytes)
                guard let first = try? JSON(parsing: left), let second = try? JSON(parsing: right) else { continue }
                let keys = [first, second].map { CollationKey.bytes(for: $0, order: order) }
                precondition(keys[0] == keys[1] || !keys[1].starts(with: keys[0]), "a key begins another")
                precondition(keys[0] == keys[1] || !keys[0].starts(with: keys[1]), "a key begins another")
                for key in keys {
                    for level in 0..<4 {
                        guard let prefix = CollationKey.groupPrefix(of: key[...], level: level, order: order) else {
                            continue
                        }
                        precondition(key.starts(with: prefix))
                    }
                }
                // An array sorts by its first element.
                let arrays = [JSON.array([first]), [second]].map { CollationKey.bytes(for: $0, order: order) }
                precondition(
                    keys[0].lexicographicallyPrecedes(keys[1]) == arrays[0].lexicographicallyPrecedes(arrays[1]))
            }
        }
    }

    enum SelectorFuzz {
        /// A selector, a line break, a document.
        static func run(_ bytes: [UInt8]) {
            let (left, right) = halves(bytes)
            guard let json = try? JSON(parsing: left, numbers: .canonical), let selector = try? Selector(json) else {
                return
            }
            let document = (try? JSON(parsing: right, numbers: .canonical)) ?? ["a": 1]
            _ = selector.matches(document)
            if let again = try? Selector(selector.json) { _ = again.matches(document) }
        }
    }
#endif
