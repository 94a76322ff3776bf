#if DEBUG
    /// What is fed with bytes that nobody made with care. Each checks what must hold of the outcome; a broken promise traps.
    package enum FuzzTarget: String, CaseIterable, Sendable {
        /// The JSON parser, and all that is made of a document: text again, revision, numbers.
        case json
        /// Request targets: path segments, query strings, ranges, cookies, stored passwords.
        case path
        /// Multipart bodies, read in pieces of any size; and written ones read back.
        case multipart
        /// The options of views, `_all_docs`, `_changes` and documents, as query strings and as JSON.
        case parameters
        /// Sort keys of views, of values and of text that is no JSON.
        case sortkey
        /// Mango selectors, and documents that are held against them.
        case selector
        /// Compressed request bodies.
        case gzip
        /// Bodies of `_bulk_docs`, row by row.
        case rows
        /// Whole requests to a store: method, target, headers, body.
        case request

        package func run(_ bytes: [UInt8]) {
            switch self {
            case .json: JSONFuzz.run(bytes)
            case .path: PathFuzz.run(bytes)
            case .multipart: MultipartFuzz.run(bytes)
            case .parameters: ParametersFuzz.run(bytes)
            case .sortkey: SortKeyFuzz.run(bytes)
            case .selector: SelectorFuzz.run(bytes)
            case .gzip: GzipFuzz.run(bytes)
            case .rows: RowsFuzz.run(bytes)
            case .request: RequestFuzz.run(bytes)
            }
        }
    }

    /// The halves of an input that stands for two values.
    func halves(_ bytes: [UInt8]) -> (ArraySlice<UInt8>, ArraySlice<UInt8>) {
        let split = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        return (bytes[..<split], bytes[min(split + 1, bytes.count)...])
    }
#endif
