import CouchDocument

extension Server {
    /// Sends a request once and answers what came back, whatever its status: for services beside a CouchDB, which say no in
    /// ways of their own. Nobody is signed in.
    ///
    /// - Parameters:
    ///   - target: Path and query from the server's root, percent-encoded.
    ///   - isSafe: Whether a second request does no harm when a kept connection turns out to be dead.
    ///   - silence: How long the server may take to begin its answer; `nil` for the usual time.
    /// - Throws: ``CouchDBError`` when there is no answer.
    package func plainRequest(
        _ method: String, _ target: String, headers: [(String, String)] = [], body: RequestBody? = nil,
        isSafe: Bool = false, silence: Duration? = nil
    ) async throws -> Response {
        var call = Call(
            method, target, headers: headers, body: body, repeatability: isSafe ? .safe : .onlyIfNothingHappened)
        if let silence { call.patience = .feed(stall: silence) }
        do {
            let answer = try await exchange(call, nil, isStreamed: false)
            return Response(
                status: answer.status, headers: answer.headers, body: answer.body, attempted: call.attempted)
        } catch let error as TransportFailure {
            throw CouchDBError(code: error.code, reason: error.reason, attempted: call.attempted)
        }
    }
}
