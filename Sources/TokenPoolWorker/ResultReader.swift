import CouchDocument
import FoundationEssentials
import Glibc
import TokenPool

/// What a command says of its token when it ends: in files that it leaves, and on its stdout.
struct ResultReader {
    /// The new `output`, from `output.json`.
    var output: JSON?
    /// Fields for the token, from `tokenpool-result.json` and from what `pool.result_pattern` finds on stdout.
    var fields: JSONObject = [:]
    /// What of it can not be taken.
    var problems: [String] = []

    /// A file beyond this is no result but data: that belongs into an output.
    private static let limit = 1 << 20

    init(of token: Token, folder: WorkFolder, stdout: [UInt8]) {
        // A file of that name that is no JSON is only a file: PiCaS' users have such.
        if let bytes = content("output.json", folder) {
            do { output = try JSON(parsing: bytes) } catch { output = nil }
        }
        if let bytes = content("tokenpool-result.json", folder) {
            do {
                if let members = try JSON(parsing: bytes).objectValue {
                    take(members, from: "tokenpool-result.json")
                } else {
                    problems.append("tokenpool-result.json is no JSON object")
                }
            } catch {
                problems.append("tokenpool-result.json is no JSON: \(error)")
            }
        }
        if let pattern = token.pool.resultPattern { match(pattern, stdout) }
    }

    private mutating func content(_ name: String, _ folder: WorkFolder) -> [UInt8]? {
        let path = folder.file(name)
        guard let stamp = FileStamp(path) else { return nil }
        guard stamp.size <= Self.limit else {
            problems.append("\(name) is not read: it has \(stamp.size) bytes, and \(Self.limit) are the most")
            return nil
        }
        do {
            return Array(try Data(contentsOf: URL(filePath: path)))
        } catch {
            problems.append("\(name) can not be read: \(error)")
            return nil
        }
    }

    private mutating func take(_ members: JSONObject, from place: String) {
        for (name, value) in members {
            if TokenResult.mayWrite(name) {
                fields[name] = value
            } else {
                problems.append("\(place) can not set \"\(name)\": that is the pool's own")
            }
        }
    }

    /// Lines of stdout that match set a field each: from the groups `name` and `value`, or from each named group.
    private mutating func match(_ pattern: String, _ stdout: [UInt8]) {
        let regex: Regex<AnyRegexOutput>
        do { regex = try Regex(pattern) } catch {
            problems.append("pool.result_pattern is no regular expression: \(error)")
            return
        }
        for line in String(decoding: stdout, as: UTF8.self).split(whereSeparator: \.isNewline) {
            guard let match = line.firstMatch(of: regex) else { continue }
            var groups: [String: String] = [:]
            for group in match.output {
                if let name = group.name, let text = group.substring { groups[name] = String(text) }
            }
            if let name = groups["name"], let value = groups["value"] { groups = [name: value] }
            take(
                JSONObject(groups.sorted { $0.key < $1.key }.map { ($0.key, Self.value($0.value)) }), from: "stdout")
        }
    }

    /// A number is a number, anything else a text.
    private static func value(_ text: String) -> JSON {
        do {
            let value = try JSON(parsing: text)
            return value.numberValue == nil ? .string(text) : value
        } catch {
            return .string(text)
        }
    }
}
