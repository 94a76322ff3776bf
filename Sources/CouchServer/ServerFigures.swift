import CouchDocument
import Synchronization

/// What the server counts of its own work, for `_stats` and `_prometheus`.
final class ServerFigures: Sendable {
    private struct State {
        var requests = 0
        var methods: [String: Int] = [:]
        var statuses: [Int: Int] = [:]
        var writes = 0
        var bulkRequests = 0
        var viewReads = 0
        /// Answers by their time in milliseconds, in classes that double: below 1, 2, 4 …
        var times = [Int](repeating: 0, count: 24)
        var totalTime = 0.0
        var shortest = Double.infinity
        var longest = 0.0
    }

    /// Protects the counts.
    private let state = Mutex(State())

    private static let methods: Set<String> = ["COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]
    private static let statuses = [
        200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 414, 415, 416, 417, 500,
        501,
        503,
    ]

    /// Counts an answer, `milliseconds` after its request came.
    func count(_ method: String, target: String, status: Int, milliseconds: Double) {
        let path = target.utf8.prefix { $0 != UInt8(ascii: "?") }
        let isBulk = path.suffix(11).elementsEqual("/_bulk_docs".utf8)
        let isView = method == "GET" && Self.namesView(path)
        state.withLock { state in
            state.requests += 1
            state.methods[Self.methods.contains(method) ? method : "OTHER", default: 0] += 1
            state.statuses[status, default: 0] += 1
            if isBulk { state.bulkRequests += 1 }
            if isView { state.viewReads += 1 }
            var place = 0
            var bound = 1.0
            while milliseconds >= bound && place < state.times.count - 1 {
                place += 1
                bound *= 2
            }
            state.times[place] += 1
            state.totalTime += milliseconds
            state.shortest = min(state.shortest, milliseconds)
            state.longest = max(state.longest, milliseconds)
        }
    }

    /// Whether `/_view/` stands in a path.
    private static func namesView(_ path: some Collection<UInt8>) -> Bool {
        path.split(separator: UInt8(ascii: "/")).dropLast().contains { $0.elementsEqual("_view".utf8) }
    }

    func countWrites(_ count: Int) { state.withLock { $0.writes += count } }

    /// The time, in seconds, within which that share of the answers went out; as exact as the classes are.
    private static func percentile(_ share: Double, _ state: State) -> Double {
        let wanted = Double(state.requests) * share
        var seen = 0
        var bound = 1.0
        for count in state.times {
            seen += count
            if Double(seen) >= wanted { break }
            bound *= 2
        }
        return min(bound, state.longest) / 1000
    }

    private static func counter(_ value: Int, _ description: String) -> JSON {
        ["value": .integer(value), "type": "counter", "desc": .string(description)]
    }

    private static func number(_ value: Double) -> JSON { .double(value) ?? 0 }

    /// The tree at `_stats`.
    func tree(openDatabases: Int) -> JSON {
        let state = state.withLock { $0 }
        let methods = Self.methods.sorted().map { method in
            (method, Self.counter(state.methods[method] ?? 0, "number of HTTP \(method) requests"))
        }
        let statuses = Self.statuses.map { status in
            (String(status), Self.counter(state.statuses[status] ?? 0, "number of HTTP \(status) responses"))
        }
        let percentiles = [(50, 0.5), (75, 0.75), (90, 0.9), (95, 0.95), (99, 0.99), (999, 0.999)].map {
            JSON.array([.integer($0.0), Self.number(Self.percentile($0.1, state))])
        }
        let times: JSON = [
            "min": Self.number(state.requests == 0 ? 0 : state.shortest / 1000),
            "max": Self.number(state.longest / 1000),
            "arithmetic_mean": Self.number(
                state.requests == 0 ? 0 : state.totalTime / Double(state.requests) / 1000),
            "percentile": .array(percentiles), "n": .integer(state.requests),
        ]
        let httpd: JSON = [
            "requests": Self.counter(state.requests, "number of HTTP requests"),
            "bulk_requests": Self.counter(state.bulkRequests, "number of bulk requests"),
            "view_reads": Self.counter(state.viewReads, "number of view reads"),
        ]
        return [
            "couchdb": [
                "httpd": httpd, "httpd_request_methods": .object(JSONObject(methods)),
                "httpd_status_codes": .object(JSONObject(statuses)),
                "document_writes": Self.counter(state.writes, "number of document write operations"),
                "open_databases": Self.counter(openDatabases, "number of open databases"),
                "request_time": [
                    "value": times, "type": "histogram",
                    "desc": "length of a request inside CouchDB without MochiWeb",
                ],
            ]
        ]
    }

    /// The same as Prometheus reads it, with the figures of the process.
    func prometheus(openDatabases: Int, process: ProcessFigures, tasks: Int) -> String {
        let state = state.withLock { $0 }
        var text = ""
        func metric(_ name: String, _ kind: String, _ rows: [(labels: String, value: String)]) {
            text += "# TYPE couchdb_\(name) \(kind)\n"
            for row in rows { text += "couchdb_\(name)\(row.labels) \(row.value)\n" }
        }
        metric("httpd_requests_total", "counter", [("", String(state.requests))])
        metric("httpd_bulk_requests_total", "counter", [("", String(state.bulkRequests))])
        metric("httpd_view_reads_total", "counter", [("", String(state.viewReads))])
        metric(
            "httpd_request_methods", "counter",
            Self.methods.sorted().map { ("{method=\"\($0)\"}", String(state.methods[$0] ?? 0)) })
        metric(
            "httpd_status_codes", "counter",
            Self.statuses.map { ("{code=\"\($0)\"}", String(state.statuses[$0] ?? 0)) })
        metric("document_writes_total", "counter", [("", String(state.writes))])
        metric("open_databases_total", "gauge", [("", String(openDatabases))])
        let quantiles = [0.5, 0.75, 0.9, 0.95, 0.99, 0.999].map {
            ("{quantile=\"\($0)\"}", String(Self.percentile($0, state)))
        }
        metric(
            "request_time_seconds", "summary",
            quantiles.map { (labels: $0.0, value: $0.1) })
        text += "couchdb_request_time_seconds_count \(state.requests)\n"
        text += "couchdb_request_time_seconds_sum \(state.totalTime / 1000)\n"
        metric("uptime_seconds", "counter", [("", String(process.uptime))])
        metric("process_resident_memory_bytes", "gauge", [("", String(process.residentMemory))])
        metric("process_threads", "gauge", [("", String(process.threads))])
        metric("process_open_files", "gauge", [("", String(process.openFiles))])
        metric("replication_jobs_running", "gauge", [("", String(tasks))])
        return text
    }
}
