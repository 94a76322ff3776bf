import CouchDocument
import Foundation

/// A project as people see it.
enum ProjectText {
    static func print(_ project: JSONObject, _ format: ProjectFormat) {
        let output = Output(style: .people)
        switch format {
        case .id: output.line(PythonText.plain(project["project_id"] ?? .null))
        case .json: output.line(PythonText.json(.object(project)))
        case .pprint: output.line(PrettyPrint.text(of: .object(project)))
        }
    }

    /// The page that `show` prints.
    static func lines(_ project: JSONObject, showsReplicas: Bool) -> [String] {
        func names(_ name: String) -> String {
            (project[name]?.arrayValue ?? []).compactMap(\.stringValue).sorted().joined(separator: ", ")
        }
        let fields = [
            ("Project ID:", PythonText.plain(project["project_id"] ?? .null)), ("Owner:", project.text("owner")),
            ("Created:", moment(project["created_timestamp"])), ("Ended:", moment(project["ended_timestamp"])),
            ("Query:", query(project.text("query"))), ("Status:", project.text("state")),
            ("Worker timeout:", PythonText.plain(project["worker_timeout"] ?? .null)),
            ("Idle timeout:", PythonText.plain(project["idle_timeout"] ?? .null)),
            ("Authorized users:", names("users")), ("           roles:", names("roles")),
        ]
        var lines = fields.map { RuledTable.padded($0.0, to: -20) + " " + $0.1 }
        lines.append("Project Attributes: ")
        for (name, value) in project["attributes"]?.objectValue ?? [:] {
            let text =
                switch value {
                case .null, .array, .object: PythonText.compactJSON(value)
                default: PythonText.plain(value)
                }
            lines.append("  \(RuledTable.padded(name, to: -15)) = \(text)")
        }
        lines.append("Handles:")
        let handles = (project["file_handles"]?.arrayValue ?? []).compactMap(\.objectValue)
        return lines + HandleTable.lines(handles, showsReplicas: showsReplicas)
    }

    /// In UTC; nothing when it has not come.
    private static func moment(_ seconds: JSON?) -> String {
        guard let seconds = seconds?.numberValue else { return "" }
        return CalendarText.utc(seconds, "%Y/%m/%d %H:%M:%S UTC")
    }

    /// A query of several lines is indented but for the first.
    private static func query(_ text: String) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.allSatisfy(\.isWhitespace) ? String(line) : String(repeating: " ", count: 10) + line
        }
        return String(lines.joined(separator: "\n").drop(while: \.isWhitespace))
    }

    /// What is done of a project: done, failed and all files.
    static func counts(_ project: JSONObject) -> String {
        if let counts = project["file_counts"]?.objectValue {
            let all = counts.reduce(0) { $0 + ($1.value.intValue ?? 0) }
            return "\(counts["done"]?.intValue ?? 0)/\(counts["failed"]?.intValue ?? 0)/\(all)"
        }
        var done = 0
        var failed = 0
        let handles = project["file_handles"]?.arrayValue ?? []
        for handle in handles {
            switch handle["state"]?.stringValue {
            case "done"?: done += 1
            case "failed"?: failed += 1
            default: break
            }
        }
        return "\(done)/\(failed)/\(handles.count)"
    }
}

/// Moments as C writes them.
enum CalendarText {
    static func utc(_ seconds: Double, _ format: String) -> String {
        var moment = time_t(seconds.rounded(.down))
        var parts = tm()
        gmtime_r(&moment, &parts)
        return text(&parts, format)
    }

    /// In the time zone of the person.
    static func local(_ seconds: Double, _ format: String) -> String {
        var moment = time_t(seconds.rounded(.down))
        var parts = tm()
        tzset()
        localtime_r(&moment, &parts)
        return text(&parts, format)
    }

    private static func text(_ parts: inout tm, _ format: String) -> String {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
