import ArgumentParser
import CouchDocument
import Foundation
import TokenPool

struct SetListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "All sets and how far they are.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let sets = try options.tokenSets()
        let counts = try await sets.allCounts()
        let list = try await sets.list(includingUnfinished: true)
        let rows = list.map { set -> [String] in
            let counts = counts[set.name] ?? StateCounts()
            return [set.name, set.state.rawValue]
                + ([.todo, .waiting, .locked, .done, .error] as [TokenState]).map { String(counts[$0]) }
                + [set.created?.text ?? ""]
        }
        options.output.table(
            ["set", "state", "todo", "waiting", "locked", "done", "error", "created"], rows,
            json: list.map { $0.summary(counts[$0.name] ?? StateCounts()) })
    }
}

extension TokenSet {
    /// What people ask of a set, as data.
    func summary(_ counts: StateCounts) -> JSON {
        var members: JSONObject = [
            "set": .string(name), "state": .string(state.rawValue), "tokens": .integer(tokens), "counts": counts.json,
        ]
        members["created"] = created?.json
        members["description"] = description.map(JSON.string)
        return .object(members)
    }
}

struct SetShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "One set: its state, its counts, what it was made of.")

    @OptionGroup var set: SetName
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let sets = try options.tokenSets()
        let found = try await sets.set(set.name)
        let counts = try await sets.counts(of: set.name)
        var json = found.summary(counts).objectValue ?? [:]
        json["document"] = .object(found.document.fields)
        options.output.answer(.object(json), Self.lines(found, counts))
    }

    static func lines(_ set: TokenSet, _ counts: StateCounts) -> [String] {
        var rows: [(String, String)] = [("set", set.name), ("state", state(set))]
        if let text = set.description { rows.append(("about", text)) }
        if let created = set.created { rows.append(("created", created.text)) }
        if let file = set.document["file"]?.stringValue { rows.append(("from", file)) }
        rows.append(("tokens", String(counts.total)))
        for state in [.todo, .waiting, .locked, .done, .error] as [TokenState] {
            rows.append(("  " + state.rawValue, String(counts[state])))
        }
        return rows.map { name, value in
            name + String(repeating: " ", count: 11 - name.count) + Output.printable(value)
        }
    }

    private static func state(_ set: TokenSet) -> String {
        switch (set.state, set.step) {
        case (.creating, _): "creating: not all tokens are written; `tokenpool set create` with its file goes on"
        case (.ready, .writing): "ready, but tokens are being added"
        case (.ready, .releasing): "ready, but tokens are still being released; `tokenpool set resume` goes on"
        case (.deleting, _): "deleting: `tokenpool set delete` goes on"
        case (let state, _): state.rawValue
        }
    }
}
