/// A server in this process: requests go to it, and answers come, as HTTP has them, with no connection in between.
///
/// What is streamed, and bodies that are not in memory, go over the network even so.
package struct NearServer: Sendable {
    /// What is asked.
    package struct Question: Sendable {
        package let method: String
        /// Path and query, percent-encoded.
        package let target: String
        package let headers: [(String, String)]
        package let body: [UInt8]
    }

    /// What comes back.
    package struct Answer: Sendable {
        let status: Int
        let headers: HeaderFields
        let body: [UInt8]

        package init(status: Int, headers: [(String, String)], body: [UInt8]) {
            self.status = status
            var bytes: [UInt8] = []
            for (name, value) in headers { bytes += Array("\(name): \(value)\r\n".utf8) }
            self.headers = HeaderFields(bytes: bytes)
            self.body = body
        }
    }

    /// Answers a question; throws when the answer broke off.
    let answer: @Sendable (Question) async throws -> Answer

    package init(_ answer: @escaping @Sendable (Question) async throws -> Answer) { self.answer = answer }

    func perform(_ request: TransportRequest, target: String) async throws -> TransportAnswer? {
        let body: [UInt8]
        switch request.body {
        case nil: body = []
        case .bytes(let bytes): body = bytes
        case .source: return nil
        }
        if request.isStreamed { return nil }
        do {
            let answer = try await answer(
                Question(method: request.method, target: target, headers: request.headers, body: body))
            return TransportAnswer(status: answer.status, headers: answer.headers, body: answer.body, stream: nil)
        } catch is CancellationError {
            throw TransportFailure.cancelled
        } catch {
            throw TransportFailure(code: .interrupted, reason: "\(error)")
        }
    }
}
