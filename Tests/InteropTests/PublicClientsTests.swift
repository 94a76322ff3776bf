import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

extension Interop {
    @Suite("Public Python clients, unmodified", .enabled("they can be installed") { await PythonClients.isAvailable() })
    struct PublicClientsTests {
        /// A client's own tests, and which of them fail on Apache CouchDB 3.5.0, too: they ask for what CouchDB 1 had.
        struct OwnTests: Sendable {
            let name: String
            let atLeast: Int
            var failing: [String: String] = [:]
            /// Those that end one way or the other as the server is quick or slow.
            var racing: Set<String> = []
        }

        static let suites = [
            OwnTests(
                name: "couchdb", atLeast: 150,
                failing: [
                    "client.DatabaseTestCase.test_add_index": "knows no partitions",
                    "client.DatabaseTestCase.test_bulk_update_all_or_nothing": "all_or_nothing is refused",
                    "client.DatabaseTestCase.test_changes": "sequences are no numbers",
                    "client.DatabaseTestCase.test_changes_releases_conn": "takes the password for a part of the host",
                    "client.DatabaseTestCase.test_changes_releases_conn_when_lastseq":
                        "takes the password for a part of the host",
                    "client.DatabaseTestCase.test_include_docs": "temporary views",
                    "client.DatabaseTestCase.test_purge": "purge_seq is null",
                    "client.DatabaseTestCase.test_query_multi_get": "temporary views",
                    "client.ServerTestCase.test_init_with_resource": "asks for /_config",
                    "client.ServerTestCase.test_init_with_session": "asks for /_config",
                    "client.ServerTestCase.test_server_stats": "asks for /_stats",
                    "client.ServerTestCase.test_server_vars": "asks for /_config",
                    "client.ServerTestCase.test_user_management": "takes the first header for the cookie",
                    "client.ViewTestCase.test_rowrepr": "temporary views",
                    "client.ViewTestCase.test_update_seq": "sequences are no numbers",
                    "client.ViewTestCase.test_view_function_objects": "asks for /_config",
                    "couchhttp.SessionTestCase.test_timeout": "sequences are no numbers",
                    "design.DesignTestCase.test_retrieve_view_defn": "its map function is none",
                    "mapping.WrappingTestCase.test_query": "temporary views",
                ],
                // Wants an answer to take more than a millisecond, twice.
                racing: ["couchhttp.SessionTestCase.test_timeout_retry"]),
            OwnTests(name: "aiocouch-4.0.1", atLeast: 145),
            OwnTests(name: "pycouchdb-1.17.1", atLeast: 300),
        ]

        // Side by side: they wait for the disk and for each other's pauses most of the time.
        @Test("pass their own tests, as on Apache CouchDB")
        func ownTests() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for suite in Self.suites { group.addTask { try await run(suite) } }
                try await group.waitForAll()
            }
        }

        private func run(_ suite: OwnTests) async throws {
            // The suite of pycouchdb knows this password only.
            let file = FileManager.default.temporaryDirectory.appendingPathComponent("password-\(UUID().uuidString)")
            try Data("password\n".utf8).write(to: file)
            defer { try? FileManager.default.removeItem(at: file) }
            let server = try await TestServer.start(arguments: ["--admin-password-file", file.path])
            var url = try #require(URLComponents(string: server.url))
            url.password = "password"
            let admin = try Server(url: try #require(url.string))
            // The suites are from the time of open databases, and follow empty ones until their feeds end.
            for (setting, value) in [("couchdb/default_security", "everyone"), ("chttpd/changes_timeout", "1000")] {
                _ = try await admin.request(
                    "PUT", "/_node/_local/_config/" + setting, body: .json(.string(value)))
            }
            await admin.shutdown()
            let argument = suite.name == "couchdb" ? suite.name : try await PythonClients.suite(suite.name)
            let result = try await PythonClients.run(
                "suite.py", [argument], environment: ["COUCH_URL": try #require(url.string)],
                timeLimit: .seconds(180))
            let errors = "\(suite.name): \(result.errors.suffix(6000))"
            #expect(result.status == 0, "\(errors)")
            let lines = result.lines.map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
            let count = lines.first { $0[0] == "ran" }.flatMap { Int($0[1]) } ?? 0
            #expect(count >= suite.atLeast, "\(suite.name): only \(count) tests ran")
            let failed = Set(lines.filter { $0[0] == "failed" }.map { $0[1].replacing("couchdb.tests.", with: "") })
            #expect(failed.subtracting(suite.racing) == Set(suite.failing.keys), "\(errors)")
            try await server.stop()
        }

        @Test("a pool goes out by our replicator and back by a client's, everything equal on all three sides")
        func outAndBack() async throws {
            try await withPair { server, source, target in
                try await fill(source)
                let url = try await TestServer.shared().url
                try await server.replicate(Replication(from: url + "/" + source.name, to: url + "/" + target.name))
                let third = try await server.createDatabase(source.name + "-c")
                let result = try await PythonClients.run(
                    "replicate.py", [url + "/" + target.name, url + "/" + third.name], timeLimit: .seconds(120))
                #expect(result.status == 0, "\(result.errors.suffix(3000))")
                let all = try await contents(of: source)
                #expect(result.lines.last.flatMap { Int($0) } == all.count)
                #expect(try await contents(of: target) == all)
                #expect(try await contents(of: third) == all)
                // Nothing is left for ours to do, and a second pass of theirs begins at its checkpoint.
                let back = try await server.replicate(Replication(from: third.name, to: source.name))
                #expect(back["history"]?[0]?["missing_found"] == 0)
                let again = try await PythonClients.run(
                    "replicate.py", [url + "/" + target.name, url + "/" + third.name], timeLimit: .seconds(120))
                #expect(again.lines.last == "0")
                try await server.deleteDatabase(third.name)
            }
        }
    }
}
