import HTTPTypes
import Hummingbird
import NIOCore

extension CouchService {
    /// Answers a request of another service of this process, in the name of an admin: with no connection, and so
    /// without what dresses an answer for one.
    ///
    /// - Throws: What broke the answer off.
    package func answer(
        near method: String, _ target: String, headers: [(String, String)], body: [UInt8], as administrator: String
    ) async throws -> (status: Int, headers: HTTPFields, body: [UInt8]) {
        var fields = HTTPFields()
        for (name, value) in headers {
            if let name = HTTPField.Name(name) { fields.append(HTTPField(name: name, value: value)) }
        }
        fields[.contentLength] = String(body.count)
        guard let method = HTTPRequest.Method(method) else {
            let refusal = Answer(Refusal(405, "method_not_allowed", "there is no method \(method)"))
            return (refusal.status, refusal.headers, try await refusal.body.gathered())
        }
        let request = Request(
            head: HTTPRequest(
                method: method, scheme: nil, authority: "localhost", path: target, headerFields: fields),
            body: RequestBody(buffer: ByteBuffer(bytes: body)))
        let start = ContinuousClock.now
        var (answer, share) = await answer(
            request, channel: nil, as: Account(name: administrator, roles: ["_admin"], handler: "default"))
        figures.count(
            method.rawValue, target: target, status: answer.status,
            milliseconds: (ContinuousClock.now - start) / .milliseconds(1))
        if method == .head { answer.body = .bytes([]) }
        let bytes = try await answer.body.gathered()
        // Given back when the answer is complete.
        withExtendedLifetime(share) {}
        return (answer.status, answer.headers, bytes)
    }
}
