import CouchDocument
import Foundation

/// Attributes and time-outs as they are typed.
enum AttributeText {
    /// Reads `k=v k=v` or `@file.json`.
    static func read(_ text: String?, option: String) throws -> JSONObject {
        guard let text else { return [:] }
        guard text.hasPrefix("@") else {
            do throws(Malformed) { return try words(text) } catch {
                throw CommandFailure(message: "\(option): \(error.reason)", status: .usage)
            }
        }
        let path = String(text.dropFirst())
        guard let members = try InputFile.json(path).objectValue else {
            throw CommandFailure(message: "\(path): expected a JSON object of attributes", status: .usage)
        }
        return members
    }

    struct Malformed: Error { let reason: String }

    /// Reads `k=v k=v`: numbers, `null`, `true` and `false` are what they look like, all else is text.
    static func words(_ text: some StringProtocol) throws(Malformed) -> JSONObject {
        var members: JSONObject = [:]
        for word in text.split(whereSeparator: \.isWhitespace) {
            guard let equals = word.firstIndex(of: "=") else {
                throw Malformed(reason: "\"\(word)\" is no name=value")
            }
            members[String(word[..<equals])] = value(String(word[equals...].dropFirst()))
        }
        return members
    }

    private static func value(_ text: String) -> JSON {
        switch text {
        case "null": return .null
        case "true": return true
        case "false": return false
        default: break
        }
        let isNumber = text.utf8.allSatisfy { unit in
            (0x30...0x39).contains(unit) || "+-.eE".utf8.contains(unit)
        }
        guard isNumber else { return .string(text) }
        if let number = Int(text) { return .integer(number) }
        guard let number = Double(text), let json = JSON.double(number) else { return .string(text) }
        return json
    }

    /// Reads `90`, `90s`, `5m`, `12h`, `3d`, or `none`.
    ///
    /// - Parameters:
    ///   - missing: What it means not to say.
    ///   - endless: What `none` means.
    static func timeout(_ text: String?, option: String, missing: JSON, endless: JSON) throws -> JSON {
        guard let text else { return missing }
        if text.lowercased() == "none" { return endless }
        let factors: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        let factor = text.last.flatMap { factors[Character($0.lowercased())] }
        guard let number = Double(factor == nil ? text : String(text.dropLast())), number > 0,
            let seconds = JSON.double(number * (factor ?? 1))
        else {
            throw CommandFailure(
                message: "\(option) wants seconds, or a number with s, m, h or d, or none; not \"\(text)\"",
                status: .usage)
        }
        return seconds
    }
}

/// Files that are named on the command line; `-` is stdin.
enum InputFile {
    static func bytes(_ path: String) throws -> Data {
        if path == "-" { return FileHandle.standardInput.readDataToEndOfFile() }
        do { return try Data(contentsOf: URL(filePath: path)) } catch {
            throw CommandFailure(message: "can not read \(path): \(error.localizedDescription)", status: .no)
        }
    }

    static func text(_ path: String) throws -> String {
        guard let text = String(data: try bytes(path), encoding: .utf8) else {
            throw CommandFailure(message: "\(path) is no UTF-8 text")
        }
        return text
    }

    static func json(_ path: String) throws -> JSON {
        do { return try JSON(parsing: try bytes(path)) } catch let error as JSONError {
            throw CommandFailure(message: "\(path) is no JSON: \(error)")
        }
    }
}
