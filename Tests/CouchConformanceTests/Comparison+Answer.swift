import CouchDocument
import Foundation

extension Comparison {
    /// Compares status, body and the headers that matter.
    mutating func answer(_ expected: JSONObject, _ answer: RawAnswer, method: String) {
        let allowed = expected["status"]?.arrayValue?.compactMap(\.intValue) ?? [expected["status"]?.intValue ?? 0]
        if !allowed.contains(answer.status) {
            differ(
                "status", "\(allowed)", "\(answer.status) \(String(decoding: answer.body.prefix(300), as: UTF8.self))")
        }
        if method == "HEAD" || expected["empty"] == true {
            if !answer.body.isEmpty { differ("body", "no bytes", String(decoding: answer.body, as: UTF8.self)) }
        } else {
            body(expected, answer.body, type: answer["Content-Type"], at: "body")
        }
        for (name, wanted) in expected["headers"]?.objectValue ?? [:] {
            header(name, wanted, answer[name], at: "header \(name)")
        }
    }

    private mutating func header(_ name: String, _ wanted: JSON, _ actual: String?, at place: String) {
        if wanted.isNull {
            if let actual { differ(place, "no such header", actual) }
            return
        }
        if wanted.objectValue != nil {
            guard let actual else {
                if wanted["optional"] != true { differ(place, wanted.description, "no such header") }
                return
            }
            return value(wanted, .string(actual), at: place, ordered: false)
        }
        do {
            let filled = try variables.fill(wanted)
            let text = (filled.stringValue ?? filled.description).trimmingCharacters(in: .whitespaces)
            guard let actual else { return differ(place, text, "no such header") }
            if Self.isSame(text, actual) { return }
            let lists = ["content-type", "cache-control", "allow"]
            if lists.contains(name.lowercased()), Self.squeezed(text) == Self.squeezed(actual) { return }
            differ(place, text, actual)
        } catch {
            differ(place, "\(error)", actual ?? "no such header")
        }
    }

    private static func squeezed(_ text: String) -> [String] {
        text.filter { !$0.isWhitespace && $0 != "\"" }.lowercased().split(separator: ",").map(String.init).sorted()
    }

    private mutating func body(_ expected: JSONObject, _ bytes: [UInt8], type: String?, at place: String) {
        let shown = String(decoding: bytes, as: UTF8.self)
        if let wanted = expected["body"] {
            guard let actual = try? JSON(parsing: bytes) else { return differ(place, wanted.description, shown) }
            value(wanted, actual, at: place, ordered: expected["keyOrder"] == true)
        } else if let wanted = expected["bodyText"] {
            value(wanted, .string(shown), at: place, ordered: false)
        } else if let wanted = expected["bodyBase64"]?.stringValue {
            if Data(base64Encoded: wanted).map(Array.init) != bytes { differ(place, "the bytes of \(wanted)", shown) }
        } else if let wanted = expected["lines"] {
            let lines = bytes.split(separator: UInt8(ascii: "\n")).filter { !$0.allSatisfy { $0 == 32 || $0 == 13 } }
            guard let actual = try? lines.map({ try JSON(parsing: $0) }) else {
                return differ(place, wanted.description, shown)
            }
            value(wanted, .array(actual), at: place, ordered: false)
        } else if let wanted = expected["events"] {
            value(wanted, .array(Self.events(shown)), at: place, ordered: false)
        } else if let rule = expected["multipart"] {
            multipart(rule, bytes, type: type, at: place)
        }
    }

    /// Server-sent events; those that only keep the connection open are left out.
    private static func events(_ text: String) -> [JSON] {
        var events: [JSON] = []
        var current = JSONObject()
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.isEmpty {
                if !current.isEmpty && current["event"] != "heartbeat" { events.append(.object(current)) }
                current = [:]
                continue
            }
            let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first, !name.isEmpty else { continue }
            var value = parts.count > 1 ? parts[1] : ""
            if value.first == " " { value = value.dropFirst() }
            let json = name == "data" ? try? JSON(parsing: String(value)) : nil
            current[String(name)] = json ?? .string(String(value))
        }
        return events
    }

    // MARK: Multipart

    private typealias Part = (headers: [(name: String, value: String)], content: [UInt8])

    private mutating func multipart(_ rule: JSON, _ bytes: [UInt8], type: String?, at place: String) {
        guard let type, let parts = Self.parts(bytes, type: type),
            type.split(separator: ";")[0].lowercased() == rule["type"]?.stringValue
        else {
            return differ(
                place, "a body of \(rule["type"] ?? .null)",
                "\(type ?? "no type"): \(String(decoding: bytes.prefix(300), as: UTF8.self))")
        }
        var wanted = rule["parts"]?.arrayValue?.compactMap(\.objectValue) ?? []
        guard wanted.count == parts.count else {
            return differ("\(place) (number of parts)", "\(wanted.count)", "\(parts.count)")
        }
        if rule["unordered"] == true { wanted = pair(wanted, parts) }
        for (index, (expected, part)) in zip(wanted, parts).enumerated() {
            let answer = RawAnswer(status: 0, reason: "", headers: part.headers, body: part.content)
            for (name, value) in expected["headers"]?.objectValue ?? [:] {
                header(name, value, answer[name], at: "part \(index) header \(name)")
            }
            body(expected, part.content, type: answer["Content-Type"], at: "part \(index)")
        }
    }

    /// Puts the expected parts into the order of the answer where that can be found out.
    private func pair(_ wanted: [JSONObject], _ parts: [Part]) -> [JSONObject] {
        var left = wanted
        return parts.map { part in
            let answer = RawAnswer(status: 0, reason: "", headers: part.headers, body: part.content)
            let hit = left.firstIndex { one in
                var trial = Comparison(variables)
                trial.body(one, part.content, type: answer["Content-Type"], at: "")
                return trial.differences.isEmpty
            }
            return left.remove(at: hit ?? 0)
        }
    }

    private static func parts(_ bytes: [UInt8], type: String) -> [Part]? {
        guard type.lowercased().hasPrefix("multipart/"), let range = type.range(of: "boundary=") else { return nil }
        var boundary = type[range.upperBound...].prefix { $0 != ";" }
        if boundary.hasPrefix("\"") { boundary = boundary.dropFirst().prefix { $0 != "\"" } }
        let mark = Data("\r\n--\(boundary)".utf8)
        let data = Data("\r\n".utf8) + Data(bytes)
        var pieces: [Data] = []
        var start = data.startIndex
        while let found = data.range(of: mark, in: start..<data.endIndex) {
            pieces.append(data[start..<found.lowerBound])
            start = found.upperBound
        }
        guard !pieces.isEmpty, data[start...].starts(with: Data("--".utf8)) else { return nil }
        return pieces.dropFirst().map { piece in
            guard let gap = piece.range(of: Data("\r\n\r\n".utf8)) else { return ([], Array(piece)) }
            let head = String(decoding: piece[..<gap.lowerBound], as: UTF8.self)
            let headers = head.split(separator: "\r\n").compactMap { line -> (name: String, value: String)? in
                let pair = line.split(separator: ":", maxSplits: 1)
                guard pair.count == 2 else { return nil }
                return (pair[0].trimmingCharacters(in: .whitespaces), pair[1].trimmingCharacters(in: .whitespaces))
            }
            return (headers, Array(piece[gap.upperBound...]))
        }
    }
}
