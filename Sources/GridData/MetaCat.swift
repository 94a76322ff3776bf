import CouchDB
import CouchDocument
import TokenPool

/// MetaCat: finds files by a query of what is known about them.
package struct MetaCat: Sendable {
    private let service: WebService
    private let token: String?

    /// A handle; nothing is sent yet.
    ///
    /// - Parameters:
    ///   - url: As in `METACAT_SERVER_URL`.
    ///   - token: Shown as MetaCat's own clients do; a public catalogue needs none.
    package init(url: String, token: String? = nil, authorities: String? = nil) throws {
        var access = WebAccess(url: url)
        // Large queries take minutes before their first file.
        access.stall = .seconds(600)
        access.authorities = authorities
        service = try WebService(access, kind: "MetaCat")
        self.token = token
    }

    /// The files that a query in MQL finds, as they come.
    ///
    /// The query is sent when the first file is asked for. An answer that breaks off throws; what came before it is no
    /// complete answer.
    package func query(_ text: String, withMetadata: Bool = false) -> Files {
        Files(service: service, token: token, text: text, withMetadata: withMetadata)
    }

    /// A file as MetaCat knows it.
    package struct File: Hashable, Sendable {
        /// Its name.
        package let did: DID
        /// Everything that is known: properties of the file and, when they were asked for, `metadata`.
        package let record: JSONObject

        /// Properties that are the file's own and no metadata, by the words of the `-c` option of `ddisp`.
        package static let properties: Set<String> = [
            "fid", "namespace", "name", "checksums", "size", "creator", "created_timestamp", "parents", "children",
            "datasets",
        ]

        /// What is known under these names: names without a dot that are the file's own are its properties, all others
        /// metadata. What is not known is null.
        package func fields(_ names: [String]) -> JSONObject {
            var fields: JSONObject = [:]
            for name in names {
                let value = Self.properties.contains(name) ? record[name] : record["metadata"]?[name]
                fields[name] = value ?? .null
            }
            return fields
        }
    }

    /// The files of an answer, to be read once.
    package struct Files: AsyncSequence, Sendable {
        /// A file.
        package typealias Element = File
        fileprivate let service: WebService
        fileprivate let token: String?
        fileprivate let text: String
        fileprivate let withMetadata: Bool

        /// Sends the query with the first ``Iterator/next()``.
        package func makeAsyncIterator() -> Iterator { Iterator(files: self) }

        /// Reads the answer.
        package struct Iterator: AsyncIteratorProtocol {
            private let files: Files
            private var body: ResponseBody.Iterator?
            private var records = JSONRecords()
            private var ready: [File] = []
            private var position = 0
            private var hasEnded = false

            fileprivate init(files: Files) { self.files = files }

            /// The next file; `nil` at the end.
            package mutating func next() async throws -> File? {
                while true {
                    if position < ready.count {
                        defer { position += 1 }
                        return ready[position]
                    }
                    if hasEnded { return nil }
                    (ready, position) = ([], 0)
                    try await readOn()
                }
            }

            private mutating func readOn() async throws {
                let service = files.service
                do {
                    var body = if let body { body } else { try await files.open().makeAsyncIterator() }
                    guard let piece = try await body.next() else {
                        hasEnded = true
                        try records.finish()
                        return
                    }
                    self.body = body
                    var found: [File] = []
                    try records.feed(piece) { found.append(try Files.file($0, service)) }
                    ready = found
                } catch let error as CouchDBError {
                    throw service.failure(error)
                } catch let fault as JSONRecords.Fault {
                    throw GridError(.badAnswer, "\(service.name): \(fault)")
                }
            }
        }

        fileprivate func open() async throws -> ResponseBody {
            var headers = [
                ("Content-Type", "text/json"), ("Accept", "application/json-seq, application/json, text/json"),
            ]
            if let token { headers.append(("X-Authentication-Token", token)) }
            let query = [("with_meta", withMetadata ? "yes" : "no"), ("with_provenance", "no")]
            return try await service.stream(
                "POST", "/data/query", query: query, headers: headers, body: .bytes(Array(text.utf8))
            ).body
        }

        private static func file(_ json: JSON, _ service: WebService) throws -> File {
            guard let record = json.objectValue, let namespace = record["namespace"]?.stringValue,
                let name = record["name"]?.stringValue, let did = DID(namespace: namespace, name: name)
            else {
                let said = (json["message"] ?? json["error"])?.stringValue.map { ": " + $0.firstLine } ?? ""
                throw GridError(.badAnswer, "\(service.name): a record without namespace and name\(said)")
            }
            return File(did: did, record: record)
        }
    }
}
