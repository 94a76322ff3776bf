import CouchDocument

extension Database {
    /// Rows of a view, all at once: `GET /db/_design/d/_view/v`, or POST when there are ``ViewQuery/keys``.
    ///
    /// - Throws: ``CouchDBError/notFound`` when the database, the design document or the view is not there.
    public func view(_ name: ViewName, _ query: ViewQuery = .init()) async throws -> ViewPage {
        try ViewPage(try await server.perform(query.call(path(name.path))))
    }

    /// Rows of a view one by one, in constant memory. The request begins with the first row and ends when the sequence
    /// is read or dropped; each iteration asks anew.
    public func rows(_ name: ViewName, _ query: ViewQuery = .init()) -> ViewRows {
        ViewRows(server: server, call: query.call(path(name.path)))
    }

    /// Documents by id, all at once: `GET /db/_all_docs`. A row's value has the `rev`.
    public func allDocuments(_ query: ViewQuery = .init()) async throws -> ViewPage {
        try ViewPage(try await server.perform(query.call(path("_all_docs"))))
    }

    /// Documents by id, one by one: `GET /db/_all_docs`. See ``rows(_:_:)``.
    public func allDocumentRows(_ query: ViewQuery = .init()) -> ViewRows {
        ViewRows(server: server, call: query.call(path("_all_docs")))
    }
}

/// Rows as they come from the server.
public struct ViewRows: AsyncSequence, Sendable {
    /// A row.
    public typealias Element = ViewRow
    /// A ``CouchDBError``.
    public typealias Failure = any Error

    let server: Server
    let call: Call

    /// Begins a request of its own.
    public func makeAsyncIterator() -> Iterator { Iterator(server: server, call: call) }

    /// Reads the rows of one request.
    public struct Iterator: AsyncIteratorProtocol {
        let server: Server
        let call: Call
        private var reader: RowReader?

        init(server: Server, call: Call) {
            self.server = server
            self.call = call
        }

        /// The next row; `nil` after the last.
        ///
        /// - Throws: ``CouchDBError/interrupted`` when the answer ends before its end.
        public mutating func next() async throws -> ViewRow? {
            if reader == nil {
                reader = RowReader(try await server.open(call), array: "rows", attempted: call.attempted)
            }
            guard let element = try await reader?.next() else { return nil }
            guard let row = ViewRow(element) else {
                throw CouchDBError(code: .badAnswer, reason: "a row is no object", attempted: call.attempted)
            }
            return row
        }
    }
}
