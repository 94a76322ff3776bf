import CouchDocument
import CouchStore
import Hummingbird
import NIOCore

/// `_db_updates`: which databases were made, written to or deleted.
struct DatabaseUpdatesRoutes: Sendable {
    let service: CouchService
    let call: Call

    func answer() async throws -> Answer {
        try call.allow("GET,HEAD")
        if !call.account.isServerAdmin { throw Refusal.notServerAdmin }
        // CouchDB keeps its events in this database; who does not want them leaves it away.
        guard try await service.store.database("_global_changes") != nil else { throw Refusal.noDatabase }
        let since = try sequence()
        switch call.query["feed"] {
        case "longpoll" where call.method == "GET":
            try call.share.becomeFeed()
            if service.events.events(after: since).isEmpty {
                _ = try await wait(after: since, timeout, client: EndSignal.client(of: call.channel))
            }
            return page(after: since)
        case "continuous":
            if call.method == "GET" { try call.share.becomeFeed() }
            return continuous(from: since)
        default: return page(after: since)
        }
    }

    private var longestWait: Int { service.settings.limits.changesWait }
    private var timeout: Int { time("timeout") ?? longestWait }

    /// Milliseconds.
    private func time(_ name: String) -> Int? {
        call.query[name].flatMap { Int($0) }.map { min(max(0, $0), longestWait) }
    }

    private func sequence() throws -> Int {
        guard let text = call.query["since"] else { return 0 }
        if text == "now" { return service.events.lastSequence }
        let number = text.filter { $0 != "\"" }.prefix { $0 != "-" }
        guard let sequence = Int(number) else {
            throw Refusal.badRequest("Malformed sequence supplied in 'since' parameter.")
        }
        return sequence
    }

    private func text(_ sequence: Int) -> JSON { .string("\(sequence)-\(service.store.uuid)") }

    private func row(_ event: DatabaseEvents.Event) -> JSON {
        [
            "db_name": .string(event.database), "type": .string(event.kind.rawValue), "seq": text(event.sequence),
        ]
    }

    private func page(after since: Int) -> Answer {
        var events = service.events.events(after: since)
        if call.query.flag("descending") { events.reverse() }
        if let limit = call.query["limit"].flatMap({ Int($0) }) { events = Array(events.prefix(max(0, limit))) }
        let last = events.last?.sequence ?? max(since, service.events.lastSequence)
        return .json(200, ["results": .array(events.map(row)), "last_seq": text(last)])
    }

    /// Whether something happened in time.
    private func wait(after sequence: Int, _ milliseconds: Int, client: EndSignal) async throws -> Bool {
        let (next, forget) = service.events.next(after: sequence)
        let (ending, source) = AsyncStream<Void>.makeStream()
        let forgetEnd = service.feeds.whenOver { source.finish() }
        let forgetClient = client.whenOver { source.finish() }
        defer {
            forget()
            forgetEnd()
            forgetClient()
        }
        return try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                for await _ in next {}
                return true
            }
            group.addTask {
                for await _ in ending {}
                return false
            }
            group.addTask {
                try await Task.sleep(for: .milliseconds(milliseconds))
                return false
            }
            defer { group.cancelAll() }
            return try await group.next() ?? false
        }
    }

    private func continuous(from since: Int) -> Answer {
        let heartbeat = call.query["heartbeat"] == "true" ? longestWait : time("heartbeat")
        let pause = max(1, heartbeat ?? timeout)
        let limit = call.query["limit"].flatMap { Int($0) } ?? .max
        let here = self
        return .json(200) { writer in
            let client = EndSignal.client(of: here.call.channel)
            var position = since
            var sent = 0
            while sent < limit {
                let events = here.service.events.events(after: position)
                for event in events.prefix(limit - sent) {
                    var line = here.row(event).encoded()
                    line.append(UInt8(ascii: "\n"))
                    try await writer.write(ByteBuffer(bytes: line))
                    position = event.sequence
                    sent += 1
                }
                if sent >= limit || here.service.feeds.isOver { break }
                if try await here.wait(after: position, pause, client: client) { continue }
                if heartbeat == nil || here.service.feeds.isOver || client.isOver { break }
                try await writer.write(ByteBuffer(string: "\n"))
            }
            let last: JSON = ["last_seq": here.text(position)]
            try await writer.write(ByteBuffer(bytes: last.encoded() + [UInt8(ascii: "\n")]))
        }
    }
}
