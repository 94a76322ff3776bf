public import CouchDocument

/// A complete answer.
public struct Response: Sendable {
    /// The status, such as 201.
    public let status: Int
    /// The header fields.
    public let headers: HeaderFields
    /// The body.
    public let body: [UInt8]
    /// The method and path that it answers.
    public let attempted: String

    /// The body as JSON.
    ///
    /// - Throws: ``CouchDBError/badAnswer`` when it is none.
    public func json() throws -> JSON {
        do throws(JSONError) {
            return try JSON(parsing: body)
        } catch {
            throw CouchDBError(
                code: .badAnswer, status: status,
                reason: "the answer is no JSON (\(error)), its type is \(headers["content-type"] ?? "not given")",
                attempted: attempted)
        }
    }

    /// The body as a JSON object.
    ///
    /// - Throws: ``CouchDBError/badAnswer`` when it is none.
    public func object() throws -> JSONObject {
        guard case .object(let object) = try json() else { throw badAnswer("a JSON object was expected") }
        return object
    }

    /// The body as a JSON array.
    func array() throws -> [JSON] {
        guard case .array(let elements) = try json() else { throw badAnswer("a JSON array was expected") }
        return elements
    }

    func badAnswer(_ reason: String) -> CouchDBError {
        CouchDBError(code: .badAnswer, status: status, reason: "unexpected answer: \(reason)", attempted: attempted)
    }

    /// The error word and reason of a refusal, if it is in CouchDB's form.
    ///
    /// - Parameter url: What was asked for, to know where a redirect leads.
    func failure(at url: String) -> CouchDBError {
        .refusal(status: status, headers: headers, body: body, attempted: attempted, url: url)
    }
}

extension CouchDBError {
    /// What a status that is no success says, with the words of the body if they are CouchDB's.
    static func refusal(
        status: Int, headers: HeaderFields, body: [UInt8], attempted: String, url: String
    ) -> CouchDBError {
        let members = try? JSON(parsing: body).objectValue
        let word = members?["error"]?.stringValue
        let reason = members?["reason"].map { $0.stringValue ?? $0.description }
        let location = status < 400 ? headers["location"].flatMap { ServerAddress.place($0, seenFrom: url) } : nil
        let silence =
            location == nil ? line(headers, body) ?? "the server refused it without saying why" : "it is elsewhere"
        var refusal = CouchDBError(
            code: Code(status: status), status: status, error: word, reason: reason ?? (word == nil ? silence : ""),
            attempted: attempted, location: location)
        refusal.body = Array(body.prefix(4096))
        return refusal
    }

    /// What a server says that answers in plain words: the first line of a text.
    private static func line(_ headers: HeaderFields, _ body: [UInt8]) -> String? {
        guard headers["content-type"]?.hasPrefix("text/plain") == true,
            let line = body.prefix(300).split(separator: 0x0A).first
        else { return nil }
        return String(decoding: line, as: UTF8.self)
    }
}

/// The header fields of an answer, as they came.
public struct HeaderFields: Sendable {
    /// Status line and fields with their line ends.
    let bytes: [UInt8]

    /// The value of the first field of that name, upper and lower case alike.
    public subscript(name: String) -> String? { all(name).first }

    /// The values of all fields of that name, in order.
    public func all(_ name: String) -> [String] {
        let wanted = Array(name.utf8).map(smallLetter)
        var values: [String] = []
        for line in bytes.split(separator: 0x0A) {
            guard line.count > wanted.count, line[line.startIndex + wanted.count] == UInt8(ascii: ":"),
                line.prefix(wanted.count).map(smallLetter) == wanted
            else { continue }
            var value = line.dropFirst(wanted.count + 1)
            while let first = value.first, first == 0x20 || first == 0x09 { value = value.dropFirst() }
            while let last = value.last, last == 0x20 || last == 0x09 || last == 0x0D { value = value.dropLast() }
            values.append(String(decoding: value, as: UTF8.self))
        }
        return values
    }
}

extension String {
    /// Whether these are one header field's name, upper and lower case alike.
    func isSameFieldName(as other: String) -> Bool {
        utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { smallLetter($0) == smallLetter($1) }
    }
}

/// An ASCII capital as its small letter.
private func smallLetter(_ unit: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(unit) ? unit | 0x20 : unit
}

/// An answer whose body is read piece by piece.
public struct StreamedResponse: Sendable {
    /// The status.
    public let status: Int
    /// The header fields.
    public let headers: HeaderFields
    /// The body, to be read once.
    public let body: ResponseBody
}
