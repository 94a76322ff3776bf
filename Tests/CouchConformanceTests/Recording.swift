import CouchDocument
import Foundation
import Testing

/// A scenario of the recordings of Apache CouchDB: requests in order, and what it answered.
struct Scenario: Sendable, CustomTestStringConvertible {
    let subject: String
    let name: String
    /// Changes a setting of the server, so it must be alone with it.
    let isExclusive: Bool
    let setup: [Step]
    let steps: [Step]
    /// Paths of documents to delete at the end.
    let cleanup: [String]

    /// Whether a step goes on while an earlier request still waits for its answer.
    var isConcurrent: Bool { steps.contains { $0.members["async"] != nil } }

    var testDescription: String { "\(subject): \(name)" }

    /// All scenarios, in the order of the files' names.
    static let all: [Scenario] = {
        guard let folder = Bundle.module.url(forResource: "Recordings", withExtension: nil),
            let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        else { return [] }
        return files.filter { $0.pathExtension == "json" }.sorted { $0.path < $1.path }.flatMap { file in
            guard let data = try? Data(contentsOf: file), let recording = try? JSON(parsing: data) else {
                fatalError("\(file.lastPathComponent) is no JSON")
            }
            return scenarios(of: recording)
        }
    }()

    private static func scenarios(of recording: JSON) -> [Scenario] {
        let subject = recording["subject"]?.stringValue ?? ""
        return (recording["scenarios"]?.arrayValue ?? []).map { scenario in
            func steps(_ name: String) -> [Step] {
                (scenario[name]?.arrayValue ?? []).compactMap { $0.objectValue.map(Step.init) }
            }
            return Scenario(
                subject: subject, name: scenario["name"]?.stringValue ?? "",
                isExclusive: scenario["exclusive"] == true, setup: steps("setup"), steps: steps("steps"),
                cleanup: scenario["cleanup"]?.arrayValue?.compactMap(\.stringValue) ?? [])
        }
    }
}

/// One request of a scenario and what is expected of its answer. The members are described in the recordings' README.
struct Step: Sendable {
    let members: JSONObject

    init(_ members: JSONObject) { self.members = members }

    var method: String { members["method"]?.stringValue ?? "" }
    var expectation: JSONObject { members["expect"]?.objectValue ?? [:] }

    /// The step for people.
    var title: String {
        let path = members["path"]?.stringValue ?? members["await"]?.stringValue ?? ""
        let about = members["about"]?.stringValue.map { " (\($0))" } ?? ""
        return "\(members["method"]?.stringValue ?? "await") \(path.prefix(200))\(about)"
    }

    /// The request as it goes on the wire.
    func request(_ variables: Variables) throws -> RawRequest {
        var request = RawRequest(
            method: method, target: try variables.fill(members["path"]?.stringValue ?? "/", quoted: true))
        let given = members["headers"]?.objectValue ?? [:]
        let names = given.names.map { $0.lowercased() }
        let body = try Self.body(members, variables)
        request.body = body?.bytes
        if !names.contains("accept") { request.headers.append(("Accept", "application/json")) }
        if let type = body?.type, !names.contains("content-type") { request.headers.append(("Content-Type", type)) }
        if !names.contains("authorization"), let pair = try credentials(variables) {
            request.headers.append(("Authorization", "Basic " + Data(pair.utf8).base64EncodedString()))
        }
        for (name, value) in given {
            if let text = value.stringValue { request.headers.append((name, try variables.fill(text, quoted: false))) }
        }
        return request
    }

    private func credentials(_ variables: Variables) throws -> String? {
        switch members["auth"] {
        case nil: return try variables.fill("{{adminUser}}:{{adminPassword}}", quoted: false)
        case .null?: return nil
        case let auth?:
            let name = auth["name"]?.stringValue ?? ""
            return try variables.fill("\(name):\(auth["password"]?.stringValue ?? "")", quoted: false)
        }
    }

    private static func body(_ part: JSONObject, _ variables: Variables) throws -> (bytes: [UInt8], type: String?)? {
        if let body = part["body"] { return (try variables.fill(body).encoded(), "application/json") }
        if let text = part["bodyText"]?.stringValue {
            return (Array(try variables.fill(text, quoted: false).utf8), nil)
        }
        if let text = part["bodyBase64"]?.stringValue { return (Array(Data(base64Encoded: text) ?? Data()), nil) }
        if let rule = part["bodyRepeat"] {
            let text = String(repeating: rule["text"]?.stringValue ?? "", count: rule["times"]?.intValue ?? 0)
            let whole = (rule["before"]?.stringValue ?? "") + text + (rule["after"]?.stringValue ?? "")
            return (Array(whole.utf8), "application/json")
        }
        guard let rule = part["multipart"] else { return nil }
        let boundary = rule["boundary"]?.stringValue ?? ""
        var bytes: [UInt8] = []
        for piece in rule["parts"]?.arrayValue ?? [] {
            bytes += Array("--\(boundary)\r\n".utf8)
            for (name, value) in piece["headers"]?.objectValue ?? [:] {
                bytes += Array("\(name): \(try variables.fill(value.stringValue ?? "", quoted: false))\r\n".utf8)
            }
            bytes +=
                Array("\r\n".utf8) + (try body(piece.objectValue ?? [:], variables)?.bytes ?? []) + Array("\r\n".utf8)
        }
        bytes += Array("--\(boundary)--".utf8)
        return (bytes, "\(rule["type"]?.stringValue ?? ""); boundary=\"\(boundary)\"")
    }
}
