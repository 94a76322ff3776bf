import CouchDocument
import CouchStore
import HTTPTypes
import Hummingbird
import NIOCore

/// `/{db}/_changes`: the sequence log, once or as it grows.
struct ChangesRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        let call = here.call
        try call.allow("GET,POST,HEAD")
        let body = call.isReading ? nil : try await call.postedObject()
        let options = try ChangesOptions(
            call, database: here.database, longestWait: here.service.settings.limits.changesWait)
        let filter = try await ChangesFilter(here, body: body)
        let feed = ChangesFeed(here: here, options: options, filter: filter)
        if options.feed != .normal && call.method != "HEAD" { try call.share.becomeFeed() }
        switch options.feed {
        case .normal: return try await normal(feed)
        case .longpoll: return try await longPoll(feed)
        case .continuous:
            return .json(200) { writer in try await Self.follow(feed, ContinuousText(), &writer) }
        case .eventSource:
            return Answer(
                200, contentType: "text/event-stream",
                .stream(length: nil) { writer in try await Self.follow(feed, EventText(), &writer) }
            ).with(.cacheControl, "no-cache")
        }
    }

    // MARK: One JSON object

    private func normal(_ feed: ChangesFeed) async throws -> Answer {
        let tag = "\"\(here.database.lastSequence)-\(here.database.uuid)\""
        if !here.call.query.items.contains(where: { $0.name == "filter" }), here.call.method == "GET",
            here.call.alreadyHas(tag)
        {
            return .notModified(tag)
        }
        var feed = feed
        // The first page comes before the status, so that a filter that fails is told as an error.
        let first = try await feed.nextPage()
        let started = feed
        return Answer.json(200) { writer in
            var feed = started
            var rows = RowWriter()
            rows.text.raw("{\"results\":[\n")
            try await Self.finish(&feed, first: first, &rows, &writer)
        }.with(.eTag, tag)
    }

    /// Writes what is left of the pages, and the end of the object.
    private static func finish(
        _ feed: inout ChangesFeed, first: [ChangesFeed.Row]?, _ rows: inout RowWriter,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        var page = first
        while let current = page {
            for row in current {
                rows.beginRow()
                rows.text.raw(row.json)
                if rows.isFull { try await rows.flush(to: &writer) }
            }
            page = try await feed.nextPage()
        }
        rows.text.raw("\n],\n\"last_seq\":")
        rows.text.write(feed.lastSequence)
        rows.text.raw(",\"pending\":")
        rows.text.write(try await feed.pending())
        rows.text.raw("}\n")
        try await rows.flush(to: &writer)
    }

    private func longPoll(_ feed: ChangesFeed) async throws -> Answer {
        // A filter function that does not work is told at once.
        var feed = feed
        let first = try await feed.nextPage()
        let started = feed
        return .json(200) { writer in
            var feed = started
            var page = first
            var rows = RowWriter()
            rows.text.raw("{\"results\":[\n")
            // The client is told at once that it is heard.
            try await rows.flush(to: &writer)
            let client = EndSignal.client(of: here.call.channel)
            let clock = ContinuousClock()
            let deadline = clock.now + .milliseconds(feed.options.timeout)
            while true {
                while let current = page, current.isEmpty { page = try await feed.nextPage() }
                if page != nil || feed.left == 0 { break }
                let patience = feed.options.heartbeat ?? Int((deadline - clock.now) / .milliseconds(1))
                switch try await ChangeWait.next(
                    after: feed.position, in: here.database, milliseconds: max(0, patience),
                    feeds: here.service.feeds, client: client)
                {
                case .changed:
                    feed.beginPass()
                    page = try await feed.nextPage()
                    continue
                case .elapsed where feed.options.heartbeat != nil:
                    try await writer.write(ByteBuffer(string: "\n"))
                    continue
                case .elapsed, .ending: break
                }
                break
            }
            try await Self.finish(&feed, first: page, &rows, &writer)
        }
    }

    // MARK: Line by line

    private static func follow(
        _ feed: ChangesFeed, _ text: some FeedText, _ writer: inout any ResponseBodyWriter
    ) async throws {
        var feed = feed
        let here = feed.here
        let client = EndSignal.client(of: here.call.channel)
        let clock = ContinuousClock()
        reading: while true {
            while let page = try await feed.nextPage() {
                var lines: [UInt8] = []
                for row in page {
                    text.write(row, to: &lines)
                    if lines.count >= RowWriter.enough {
                        try await writer.write(ByteBuffer(bytes: lines))
                        lines.removeAll(keepingCapacity: true)
                    }
                }
                if !lines.isEmpty { try await writer.write(ByteBuffer(bytes: lines)) }
            }
            if feed.left == 0 { break }
            let deadline = clock.now + .milliseconds(feed.options.timeout)
            while true {
                let patience = feed.options.heartbeat ?? Int((deadline - clock.now) / .milliseconds(1))
                switch try await ChangeWait.next(
                    after: feed.position, in: here.database, milliseconds: max(0, patience),
                    feeds: here.service.feeds, client: client)
                {
                case .changed:
                    feed.beginPass()
                    continue reading
                case .elapsed where feed.options.heartbeat != nil:
                    try await writer.write(ByteBuffer(string: text.heartbeat))
                case .elapsed, .ending: break reading
                }
            }
        }
        let end = text.end(lastSequence: feed.lastSequence, pending: try await feed.pending())
        if !end.isEmpty { try await writer.write(ByteBuffer(bytes: end)) }
    }
}

/// How a feed that goes on writes its rows.
private protocol FeedText: Sendable {
    var heartbeat: String { get }
    func write(_ row: ChangesFeed.Row, to bytes: inout [UInt8])
    func end(lastSequence: String, pending: Int) -> [UInt8]
}

/// `feed=continuous`: an object a line.
private struct ContinuousText: FeedText {
    let heartbeat = "\n"

    func write(_ row: ChangesFeed.Row, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: row.json)
        bytes.append(UInt8(ascii: "\n"))
    }

    func end(lastSequence: String, pending: Int) -> [UInt8] {
        let last: JSON = ["last_seq": .string(lastSequence), "pending": .integer(pending)]
        return last.encoded() + [UInt8(ascii: "\n")]
    }
}

/// `feed=eventsource`: server-sent events.
private struct EventText: FeedText {
    let heartbeat = "event: heartbeat\ndata: \n\n"

    func write(_ row: ChangesFeed.Row, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "data: ".utf8)
        bytes.append(contentsOf: row.json)
        bytes.append(contentsOf: "\nid: \"\(row.sequence)\"\n\n".utf8)
    }

    func end(lastSequence: String, pending: Int) -> [UInt8] { [] }
}
