import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import TokenPool
import UnixSignals

struct PoolEventsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "events", abstract: "Follow what happens to tokens, sets and workers.",
        discussion: """
            A line each time a document changes, with the state in which it is then; what changes twice within moments may \
            be told once. Runs until SIGTERM or SIGINT.
            """)

    @Option(help: "Only tokens of this set, and the set itself.")
    var set: String?
    @Flag(help: "Begin with what happened in the past, as far as the database knows it.")
    var all = false
    @Option(help: "End after so many events.")
    var limit: Int?
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
    }

    func run() async throws {
        let database = try options.poolDatabase()
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await follow(database) }
            group.addTask { for await _ in signals { return } }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func follow(_ database: Database) async throws {
        var query = ChangesQuery(since: all ? "0" : "now")
        query.includeDocuments = true
        var told = 0
        for try await change in database.changeFeed(query) {
            guard let event = event(of: change) else { continue }
            options.output.answer(event.json, [event.text])
            told += 1
            if told == limit { return }
        }
    }

    private func event(of change: Change) -> (json: JSON, text: String)? {
        guard !change.id.hasPrefix("_design/") else { return nil }
        let name = Output.printable(change.id)
        if change.isDeleted {
            // Nothing says any more what it was.
            guard set == nil else { return nil }
            return (["event": "deleted", "id": .string(change.id)], "\(name): deleted")
        }
        guard let document = change.document else { return nil }
        if document["lock"] != nil, document["done"] != nil {
            let token = Token(document)
            guard set == nil || token.pool.set == set else { return nil }
            var json: JSONObject = [
                "event": "token", "id": .string(token.id), "state": .string(token.state.rawValue),
                "set": token.pool.set.map(JSON.string) ?? .null,
            ]
            var text = "\(name): \(token.state.rawValue)"
            if token.state == .locked {
                json["hostname"] = .string(token.hostname)
                text += " by \(Output.printable(token.hostname))"
            }
            if let last = token.pool.history.last, token.state != .locked {
                json["outcome"] = .string(last.outcome.rawValue)
                json["exit_code"] = last.exitCode.map(JSON.integer) ?? .null
                text += " (try \(token.pool.attempts): \(last.outcome.rawValue)"
                text += last.exitCode.map { ", exit code \($0))" } ?? ")"
            }
            return (.object(json), text)
        }
        if let found = TokenSet(document) {
            guard set == nil || found.name == set else { return nil }
            return (
                ["event": "set", "set": .string(found.name), "state": .string(found.state.rawValue)],
                "set \(Output.printable(found.name)): \(found.state.rawValue)"
            )
        }
        if set == nil, let worker = WorkerSight(document) {
            return (
                [
                    "event": "worker", "worker": .string(worker.name),
                    "running": .array(worker.running.map(JSON.string)),
                ], "worker \(Output.printable(worker.name)): runs \(worker.running.count) of \(worker.slots)"
            )
        }
        return nil
    }
}
