#if DEBUG
    import CouchDocument
    import Foundation
    import HTTPTypes
    import Hummingbird
    import Logging
    import NIOCore
    import NIOEmbedded
    @testable import CouchServer
    @testable import CouchStore

    /// A store with one database in a temporary folder, which takes whatever requests come.
    enum RequestFuzz {
        private struct Subject: Sendable {
            let service: CouchService
            let channel: NIOAsyncTestingChannel
        }

        /// Replications would go out into the world.
        private struct NoReplication: ReplicationDesk {
            func replicate(_ body: JSON, for account: Account) async throws -> Answer {
                throw Refusal(501, "not_implemented", "no replication here")
            }
            func jobs() async -> [JSONObject] { [] }
            func job(_ id: String) async -> JSONObject? { nil }
            func page(of document: Document, in database: String) async -> JSONObject? { nil }
            func tasks() async -> [JSONObject] { [] }
        }

        private static let subject = Task { try await make() }

        private static func make() async throws -> Subject {
            let folder = FileManager.default.temporaryDirectory.path + "/fuzz-\(getpid())"
            var logger = Logger(label: "fuzz")
            logger.logLevel = .critical
            let store = try await Store.open(folder: folder, logger: logger)
            let settings = Settings()
            let service = CouchService(
                store: store, administrators: [Administrator(name: "a", password: "b")], secret: "s",
                settings: settings, replication: NoReplication(), logger: logger, clock: { 1_800_000_000 })
            try await service.createSystemDatabases()
            return Subject(service: service, channel: NIOAsyncTestingChannel())
        }

        /// A request as on the wire: request line, headers, an empty line, the body.
        static func run(_ bytes: [UInt8]) {
            guard let request = request(bytes) else { return }
            finish {
                do {
                    try await send(request, to: try await subject.value)
                } catch {
                    preconditionFailure("no store: \(error)")
                }
            }
        }

        private static func request(_ bytes: [UInt8]) -> Request? {
            let text = bytes.split(separator: UInt8(ascii: "\n"), maxSplits: 64, omittingEmptySubsequences: false)
            let line = String(decoding: text[0], as: UTF8.self).split(separator: " ", maxSplits: 1)
            guard line.count == 2, let method = HTTPRequest.Method(String(line[0])) else { return nil }
            var fields = HTTPFields()
            fields[.authorization] = "Basic " + Data("a:b".utf8).base64EncodedString()
            fields[.contentType] = "application/json"
            var index = 1
            while index < text.count, !text[index].isEmpty {
                let pair = String(decoding: text[index], as: UTF8.self).split(separator: ":", maxSplits: 1)
                index += 1
                guard pair.count == 2, let name = HTTPField.Name(String(pair[0])), name != .expect else { continue }
                fields[name] = String(pair[1].drop { $0 == " " })
            }
            let body = text.dropFirst(index + 1).joined(separator: [UInt8(ascii: "\n")])
            let head = HTTPRequest(
                method: method, scheme: "http", authority: "h", path: String(line[1]), headerFields: fields)
            return Request(head: head, body: RequestBody(buffer: ByteBuffer(bytes: body)))
        }

        private struct Sink: ResponseBodyWriter {
            struct Enough: Error {}
            var count = 0
            mutating func write(_ buffer: ByteBuffer) async throws {
                count += buffer.readableBytes
                if count > 1 << 20 { throw Enough() }
            }
            consuming func finish(_ trailers: HTTPFields?) async throws {}
        }

        /// What the database begins with, so that requests find something to do.
        private static let beginnings = [
            #"PUT /d/a\#n\#n{"x":[1,{"y":null}],"n":2.5,"_attachments":{"f":{"data":"MDEyMzQ1Njc4OQ=="}}}"#,
            """
            PUT /d/_design/x

            {"views":{"v":{"map":"function (d) { emit([d._id, d.n], d.x) }","reduce":"_count"},
            "j":{"map":"function (d) { emit(d.n, 1) }","reduce":"function (k, v, r) { return v.length }"}},
            "filters":{"f":"function (d, q) { return q.query.a !== 'b' }"},
            "shows":{"s":"function (d, q) { return {code: 200, headers: {a: 'b'}, body: JSON.stringify(q)} }"},
            "lists":{"l":"function (h, q) { var r; while (r = getRow()) send(r.key) }"},
            "updates":{"u":"function (d, q) { return [{_id: q.uuid, q: q.form}, q.body] }"},
            "rewrites":[{"from":"r/:a/*","to":"_view/v","query":{"key":":a"}}]}
            """, "POST /d/_index\n\n{\"index\":{\"fields\":[\"n\"]}}",
        ]

        private static func send(_ request: Request, to subject: Subject) async throws {
            if try await subject.service.store.database("d") == nil {
                _ = try await subject.service.store.createDatabase("d")
                for text in beginnings {
                    if let first = Self.request(Array(text.utf8)) { try await answer(first, by: subject) }
                }
            }
            try await answer(request, by: subject)
        }

        private static func answer(_ request: Request, by subject: Subject) async throws {
            let service = subject.service
            do {
                let call = try Call(
                    request, channel: subject.channel, share: try service.workload.admit(isUrgent: false),
                    largestRequest: 1 << 20)
                // Feeds would wait for changes that never come.
                service.endFeeds()
                let answer = try await service.answer(call)
                precondition((200...599).contains(answer.status))
                if case .stream(_, let write) = answer.body {
                    var sink: any ResponseBodyWriter = Sink()
                    try await write(&sink)
                }
            } catch let refusal as Refusal {
                precondition((300...599).contains(refusal.status))
            } catch {
                // What an answer breaks off with.
            }
        }
    }
#endif
