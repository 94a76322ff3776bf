import CouchDocument

/// The rows of a JSON index: one for each document that has all its fields, their values being the key.
struct MangoIndexMap: NativeMap {
    /// `nil`: no document has rows.
    private let columns: [FieldPath]?
    private let filter: Selector?

    /// Reads the `map` of a view of the language `query`. What defines no index has no rows, as in CouchDB.
    init(_ definition: JSON) {
        let filter = try? Selector(definition["partial_filter_selector"] ?? definition["selector"] ?? [:])
        columns = filter == nil ? nil : MangoIndex.columns(of: definition)
        if case .everything = filter { self.filter = nil } else { self.filter = filter }
    }

    func emitRows(
        of document: UnsafeBufferPointer<UInt8>, id: String, _ emit: (_ key: [UInt8], _ value: [UInt8]) -> Void
    ) {
        guard let columns, !id.hasPrefix("_design/") else { return }
        if let filter {
            guard let value = try? JSON(parsing: document), filter.matches(value) else { return }
        }
        var key: [UInt8] = [UInt8(ascii: "[")]
        for column in columns {
            guard let range = column.range(in: document) else { return }
            if key.count > 1 { key.append(UInt8(ascii: ",")) }
            key.append(contentsOf: document[range])
        }
        key.append(UInt8(ascii: "]"))
        emit(key, Self.null)
    }

    private static let null = Array("null".utf8)
}
