import CouchDocument
import TokenPool

/// Reads what clients say of projects.
enum ProjectFields {
    static func object(_ value: JSON?, _ name: String) throws(GatewayRefusal) -> JSONObject {
        guard let value, !value.isNull else { return [:] }
        guard let members = value.objectValue else {
            throw .badRequest("\(name) must be an object, not a \(value.kind)")
        }
        return members
    }

    static func names(_ value: JSON?, _ name: String) throws(GatewayRefusal) -> [String] {
        guard let value, !value.isNull else { return [] }
        guard let list = value.arrayValue else { throw .badRequest("\(name) must be a list, not a \(value.kind)") }
        var names: [String] = []
        var seen: Set<String> = []
        for entry in list {
            guard let text = entry.stringValue, !text.isEmpty else {
                throw .badRequest("\(name) must be a list of names, not of \(entry.kind)s")
            }
            if seen.insert(text).inserted { names.append(text) }
        }
        return names
    }

    /// A project number: clients send it as a number or as text.
    static func number(_ value: JSON?) throws(GatewayRefusal) -> Int {
        switch value {
        case nil, .null?: throw .badRequest("project_id is missing")
        case .integer(let number)? where number > 0: return number
        case .string(let text)?: return try Dispatcher.number(text)
        case let other?: throw .badRequest("\(other) is no project id")
        }
    }

    static func files(_ value: JSON?) throws(GatewayRefusal) -> [ProjectFile] {
        guard let list = value?.arrayValue else { throw .badRequest("files must be a list") }
        var files: [ProjectFile] = []
        files.reserveCapacity(list.count)
        for (index, entry) in list.enumerated() {
            guard let namespace = entry["namespace"]?.stringValue, let name = entry["name"]?.stringValue else {
                throw .badRequest("file \(index + 1) must have a namespace and a name")
            }
            guard let did = DID(namespace: namespace, name: name) else {
                throw .badRequest("file \(index + 1): namespace and name are not empty, and a namespace has no colon")
            }
            files.append(
                ProjectFile(did, attributes: try object(entry["attributes"], "attributes of file \(index + 1)")))
        }
        return files
    }

    /// Seconds; null is no limit.
    static func timeout(_ value: JSON?, _ name: String) throws(GatewayRefusal) -> Duration? {
        guard let value, !value.isNull else { return nil }
        guard let seconds = value.numberValue, seconds > 0, seconds < 1e10 else {
            throw .badRequest("\(name) is a number of seconds above 0, or null")
        }
        return .milliseconds(Int((seconds * 1000).rounded()))
    }

    /// The same, and two words: `default` keeps what there is, `no timeout` is no limit.
    static func changedTimeout(_ value: JSON?, _ name: String) throws(GatewayRefusal) -> Duration?? {
        switch value {
        case nil, "default"?: return .none
        case .null?: return .none
        case "no timeout"?: return .some(nil)
        default: return .some(try timeout(value, name))
        }
    }
}
