import CouchDB
public import CouchDocument

/// How often what happened to files in a stretch of time.
public struct FileActivity: Hashable, Sendable {
    /// Files that were made.
    public var created = 0
    /// Files that workers got.
    public var reserved = 0
    /// Files that were processed.
    public var done = 0
    /// Files that were not, for good.
    public var failed = 0
    /// Files that were not and went back.
    public var retried = 0
    /// Files whose workers had them for too long.
    public var timedOut = 0
    /// Files that somebody put back.
    public var reset = 0

    /// Nothing.
    public init() {}

    /// Reads what the view sums up.
    init(_ json: JSON) {
        func count(_ place: Int) -> Int { json[place]?.intValue ?? 0 }
        created = count(0)
        reserved = count(1)
        done = count(2)
        failed = count(3)
        retried = count(4)
        timedOut = count(5)
        reset = count(6)
    }

    mutating func add(_ other: FileActivity) {
        created += other.created
        reserved += other.reserved
        done += other.done
        failed += other.failed
        retried += other.retried
        timedOut += other.timedOut
        reset += other.reset
    }

    /// By Data Dispatcher's names, and `retry` for those that went back.
    public var json: JSONObject {
        [
            "create": .integer(created), "reserve": .integer(reserved), "done": .integer(done),
            "failed": .integer(failed), "retry": .integer(retried), "worker_timeout": .integer(timedOut),
            "reset": .integer(reset),
        ]
    }
}

/// A stretch of time that is looked at in parts.
public struct ActivityWindow: Hashable, Sendable {
    /// Where it begins: where a part does.
    public let start: Timestamp
    /// Before this moment it ends.
    public let end: Timestamp
    /// The length of a part.
    public let part: Duration

    /// The most parts that are looked at.
    public static let mostParts = 2000
    /// What the view knows apart, in seconds, with the length of the key: ten seconds, five minutes, an hour, a day.
    private static let levels = [(10, 5), (300, 4), (3600, 3), (86400, 2)]

    /// A window of parts, each so many times ten seconds, five minutes, hours or days long. `nil` when it has none or too
    /// many, or its parts are of another length.
    public init?(from start: Timestamp, to end: Timestamp, part: Duration) {
        let seconds = Int(part.components.seconds)
        guard seconds > 0, seconds.isMultiple(of: 10), start.seconds >= 0, start < end else { return nil }
        let first = start.seconds / seconds * seconds
        guard first < end.seconds, (end.seconds - first + seconds - 1) / seconds <= Self.mostParts else { return nil }
        self.start = Timestamp(seconds: first)
        self.end = end
        self.part = .seconds(seconds)
    }

    /// The coarsest level of the view whose steps make up a part.
    var level: Int {
        let seconds = Int(part.components.seconds)
        return Self.levels.last { seconds.isMultiple(of: $0.0) }?.1 ?? 5
    }

    /// The key of the ten seconds around a moment, for a project or, with 0, for all.
    static func key(_ project: Int, _ moment: Timestamp) -> JSON {
        let tens = moment.seconds / 10
        return [
            .integer(project), .integer(tens / 8640), .integer(tens / 360 % 24), .integer(tens / 30 % 12),
            .integer(tens % 30),
        ]
    }

    /// When the step of a row begins.
    static func moment(_ key: JSON) -> Timestamp? {
        guard let day = key[1]?.intValue else { return nil }
        func part(_ place: Int) -> Int { key[place]?.intValue ?? 0 }
        return Timestamp(seconds: ((day * 24 + part(2)) * 12 + part(3)) * 300 + part(4) * 10)
    }
}

extension ViewName {
    static let fileActivity = ViewName(design: "history", view: "activity")
}

extension Projects {
    /// How often what happened to files, in parts of a stretch of time; parts in which nothing happened are left out.
    ///
    /// From the last ten tries that each file keeps. What is read is as much as the answer, however many files there are.
    ///
    /// - Parameter number: The project; `nil` all of them.
    public func activity(
        of number: Int? = nil, _ window: ActivityWindow
    ) async throws -> [(start: Timestamp, activity: FileActivity)] {
        let last = Timestamp(seconds: max(window.start.seconds, window.end.seconds - 1))
        var query = ViewQuery(
            startKey: ActivityWindow.key(number ?? 0, window.start), endKey: ActivityWindow.key(number ?? 0, last))
        query.groupLevel = window.level
        let seconds = Int(window.part.components.seconds)
        var parts: [(start: Timestamp, activity: FileActivity)] = []
        for row in try await view(.fileActivity, query).rows {
            guard let moment = ActivityWindow.moment(row.key) else { continue }
            let start = Timestamp(seconds: moment.seconds / seconds * seconds)
            if parts.last?.start != start { parts.append((start, FileActivity())) }
            parts[parts.count - 1].activity.add(FileActivity(row.value))
        }
        return parts
    }
}
