import CouchDB
import CouchDocument
import DesignDocuments
import TestSupport
import Testing

@testable import TokenPool

@Suite("Views of states")
struct StateViewTests {
    @Test("our views and tokens agree on every shape of lock, done and exit_code; PiCaS' views follow PiCaS' rules")
    func shapes() async throws {
        try await withSets { sets async throws in
            let exits: [JSON?] = [nil, .null, "", 0, "0", "0 ok", 1, "x", .double(0.0), -1]
            var documents: [Document] = []
            var index = 0
            for lock in [-2, -1, 0, 99, 1000] {
                for done in [-1, 0, 99, 2000] {
                    for exit in exits {
                        var token = Token(id: "t\(index)")
                        (token.lock, token.done, token.exitCode) = (lock, done, exit)
                        documents.append(token.document)
                        index += 1
                    }
                }
            }
            // Documents that are no tokens, or broken ones, disturb nothing.
            documents += [
                Document(id: "a"), Document(id: "b", fields: ["type": "token", "pool": .null]),
                Document(id: "c", fields: ["lock": "x", "done": [:], "pool": 3, "type": 1]),
            ]
            for outcome in try await sets.database.bulkSave(documents) { #expect(outcome.error == nil) }

            var query = ViewQuery()
            query.reduce = false
            var seen: [String: String] = [:]
            for row in try await sets.database.view(ViewName(design: "tokenpool", view: "states"), query).rows {
                seen[row.id ?? ""] = row.key[1]?.stringValue
            }
            var expected: [String: String] = [:]
            for document in documents where document["done"]?.intValue != nil {
                expected[document.id] = Token(document).state.rawValue
            }
            #expect(seen == expected)

            for (view, holds) in Self.picas {
                let ids = try await sets.ids(ViewName(design: "Monitor", view: view))
                let wanted = documents.filter { $0["done"]?.intValue != nil && holds(Token($0)) }.map(\.id)
                #expect(ids == wanted.sorted(), "\(view)")
            }
        }
    }

    private static let picas: [(String, @Sendable (Token) -> Bool)] = [
        ("todo", { $0.lock == 0 && $0.done == 0 }), ("locked", { $0.lock > 0 && $0.done == 0 }),
        ("done", { $0.lock > 0 && $0.done > 0 && $0.exitCode.flatMap(TokenState.leadingInteger) == 0 }),
        ("error", { $0.lock > 0 && $0.done > 0 && $0.exitCode.flatMap(TokenState.leadingInteger) != 0 }),
    ]
}
