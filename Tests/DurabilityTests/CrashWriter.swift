import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing

/// One writer and all that it knows of its documents, which nobody else writes.
struct CrashWriter: Sendable {
    /// What the server last said of a document.
    struct Known: Sendable, Equatable {
        /// `nil`: a tombstone.
        var revision: Revision?
        var number: Int
    }

    private let name: Int
    private var random: SeededRandom
    private var next = 0
    private(set) var known: [String: Known] = [:]
    /// Documents of this round, and what was on its way when the server died (`nil`: a tombstone).
    private(set) var touched: Set<String> = []
    private var doubtful: [String: Int?] = [:]
    /// Ids of documents that are there, to choose from.
    private var living: [String] = []

    init(name: Int, seed: UInt64) {
        self.name = name
        random = SeededRandom(seed: seed &+ UInt64(name) &* 1_000_003)
    }

    /// Writes until the server is gone. `acknowledged` is told of each answer.
    mutating func work(in database: Database, acknowledged: @Sendable () -> Void) async throws {
        touched = []
        do {
            while true {
                try await step(database)
                doubtful = [:]
                acknowledged()
            }
        } catch let error as CouchDBError where error.status == nil {
            // No answer: the server was killed.
        }
    }

    /// The bytes of a document's attachment, if it has one.
    static func attachment(number: Int) -> [UInt8]? {
        switch number % 23 {
        case 0: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 300_000 + number % 100)
        case 1, 2: [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10 + number % 100)
        default: nil
        }
    }

    private mutating func step(_ database: Database) async throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<70:
            let document = draft()
            try noteAnswer(document, try await database.save(document))
        case 70..<80 where !living.isEmpty:
            let place = Int.random(in: 0..<living.count, using: &random)
            let id = living.remove(at: place)
            let old = try #require(known[id]?.revision)
            touched.insert(id)
            doubtful[id] = .some(nil)
            _ = try await database.delete(id, revision: old)
            known[id] = Known(revision: nil, number: -1)
        default:
            var documents: [Document] = []
            for _ in 0..<Int.random(in: 2...30, using: &random) {
                let document = draft(unlessIn: documents)
                documents.append(document)
            }
            for (document, outcome) in zip(documents, try await database.bulkSave(documents)) {
                try noteAnswer(document, try #require(outcome.revision, "\(outcome)"))
            }
        }
    }

    /// A new document or the next state of an old one.
    private mutating func draft(unlessIn others: [Document] = []) -> Document {
        next += 1
        var id = "w\(name) ü/\(next)"
        if Bool.random(using: &random), let old = living.randomElement(using: &random),
            !others.contains(where: { $0.id == old })
        {
            id = old
        }
        let number = next
        var document = Document(
            id: id,
            fields: [
                "number": .integer(number), "group": .integer(number % 7),
                "text": .string(String(repeating: "x", count: number % 300)),
            ])
        document.revision = known[id]?.revision
        if let bytes = Self.attachment(number: number) {
            let data = JSON.string(Data(bytes).base64EncodedString())
            document["_attachments"] = ["a": ["content_type": "text/plain", "data": data]]
        }
        touched.insert(id)
        doubtful[id] = .some(number)
        return document
    }

    private mutating func noteAnswer(_ document: Document, _ revision: Revision) throws {
        let number = try #require(document["number"]?.intValue)
        if known[document.id]?.revision == nil { living.append(document.id) }
        known[document.id] = Known(revision: revision, number: number)
    }

    /// Compares the documents of this round with what the server has now. What was on its way may be there or not.
    mutating func settle(_ found: [String: Document]) {
        for id in touched {
            let document = found[id]
            let number = document?["number"]?.intValue
            if let attempt = doubtful[id], number == attempt {
                known[id] = Known(revision: document?.revision, number: number ?? -1)
                continue
            }
            guard let known = known[id], known.revision != nil else {
                #expect(document == nil, "\(id) was never written, or deleted, and is there")
                continue
            }
            #expect(document?.revision == known.revision, "\(id) is not what was acknowledged")
            #expect(number == known.number, "\(id) has another body")
        }
        doubtful = [:]
        living = known.filter { $0.value.revision != nil }.keys.sorted()
    }
}
