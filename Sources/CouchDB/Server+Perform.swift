import CouchDocument
import Logging

extension Server {
    /// Signs in, sends, repeats as ``RetryPolicy`` says, and collects the answer.
    ///
    /// - Throws: ``CouchDBError`` for every status from 300 on.
    func perform(_ call: Call) async throws -> Response {
        try await repeating(call) {
            let answer = try await exchange(call, $0, isStreamed: false)
            let response = Response(
                status: answer.status, headers: answer.headers, body: answer.body, attempted: call.attempted)
            if answer.status >= 300 { throw Refusal(response.failure(at: core.root + call.target), answer.headers) }
            return response
        }
    }

    /// As ``perform(_:)``, but answers with the first byte of the body. What goes wrong in the body is not repeated.
    func open(_ call: Call) async throws -> StreamedResponse {
        try await repeating(call) {
            let answer = try await exchange(call, $0, isStreamed: true)
            guard let body = answer.stream else { fatalError("a streamed answer has a stream") }
            let stream = ResponseBody(exchange: body, transport: core.transport, attempted: call.attempted)
            if answer.status >= 300 {
                let text = try await stream.prefix(bytes: 65536)
                throw Refusal(
                    .refusal(
                        status: answer.status, headers: answer.headers, body: text, attempted: call.attempted,
                        url: core.root + call.target), answer.headers)
            }
            return StreamedResponse(status: answer.status, headers: answer.headers, body: stream)
        }
    }

    /// A status that is no success, with what the server says of when to come back.
    private struct Refusal: Error {
        let error: CouchDBError
        let retryAfter: Duration?
        init(_ error: CouchDBError, _ headers: HeaderFields) {
            self.error = error
            // A date in place of seconds is rare enough to be answered with the policy's own pause.
            retryAfter = headers["retry-after"].flatMap { Int($0) }.map { .seconds(max(0, $0)) }
        }
    }

    private func repeating<Answer>(
        _ call: Call, _ attempt: (Authentication.Proof?) async throws -> Answer
    ) async throws -> Answer {
        let start = ContinuousClock.now
        var attempts = 0
        var hasRenewedSession = false
        while true {
            let failure: CouchDBError
            var retryAfter: Duration?
            // A sign-in that fails for the moment is repeated with whatever request needs it: nothing of that has happened.
            var isSignedIn = false
            var proof: Authentication.Proof?
            do {
                if core.authentication.needsSession { try await signIn() }
                isSignedIn = true
                proof = core.authentication.readyProof
                return try await attempt(proof)
            } catch let refusal as Refusal {
                failure = refusal.error
                retryAfter = refusal.retryAfter
                if let proof, proof.isSession, failure.code == .unauthorized, !hasRenewedSession, isReplayable(call) {
                    hasRenewedSession = true
                    core.authentication.forget(proof)
                    continue
                }
            } catch let error as TransportFailure {
                failure = CouchDBError(code: error.code, reason: error.reason, attempted: call.attempted)
            } catch let error as CouchDBError where !isSignedIn {
                failure = error
            }
            attempts += 1
            guard failure.allowsRepeat(isSignedIn ? call.repeatability : .safe), isReplayable(call) || !isSignedIn,
                let delay = configuration.retry.delay(
                    after: attempts, elapsed: .now - start, retryAfter: retryAfter, jitter: .random(in: 0...1))
            else { throw failure }
            configuration.logger.debug(
                "request is repeated",
                metadata: ["request": "\(call.attempted)", "reason": "\(failure.reason)", "attempt": "\(attempts + 1)"])
            do {
                try await Task.sleep(for: delay)
            } catch {
                throw CouchDBError(code: .cancelled, reason: "the task was cancelled", attempted: call.attempted)
            }
        }
    }

    private func isReplayable(_ call: Call) -> Bool { call.body?.isReplayable ?? true }

    private func signIn() async throws {
        try await core.authentication.prepare { body in
            let call = Call("POST", "/_session", body: .json(body), repeatability: .safe)
            return try await sendWithoutSession(call)
        }
    }

    /// The sign-in itself, which must not wait for a sign-in.
    private func sendWithoutSession(_ call: Call) async throws -> Response {
        do {
            let answer = try await exchange(call, nil, isStreamed: false)
            let response = Response(
                status: answer.status, headers: answer.headers, body: answer.body, attempted: call.attempted)
            guard answer.status < 300 else { throw response.failure(at: core.root + call.target) }
            return response
        } catch let error as TransportFailure {
            throw CouchDBError(code: error.code, reason: error.reason, attempted: call.attempted)
        }
    }

    /// One request and its answer.
    func exchange(_ call: Call, _ proof: Authentication.Proof?, isStreamed: Bool) async throws
        -> TransportAnswer
    {
        var headers = call.headers
        func add(_ name: String, _ value: String) {
            if !headers.contains(where: { $0.0.isSameFieldName(as: name) }) { headers.append((name, value)) }
        }
        for (name, value) in configuration.headers { add(name, value) }
        add("Accept", "application/json")
        if let proof { add(proof.name, proof.value) }
        let body: Upload?
        switch call.body {
        case nil: body = call.method == "POST" ? .bytes([]) : nil
        case .bytes(let bytes): body = .bytes(bytes)
        case .json(let value):
            add("Content-Type", "application/json")
            body = .bytes(value.encoded())
        case .file(let path): body = .source(try FileSource(path: path))
        case .stream(let length, let chunks): body = .source(ChannelSource(chunks, length: length))
        }
        let timeouts = configuration.timeouts
        var request = TransportRequest(method: call.method, url: core.root + call.target, headers: headers, body: body)
        request.isStreamed = isStreamed
        switch call.patience {
        case .normal: (request.stall, request.whole) = (timeouts.stall, timeouts.whole)
        case .indexing: (request.stall, request.whole) = (timeouts.indexing, timeouts.whole)
        case .feed(let stall): request.stall = stall
        }
        request.mayBeRepeated = call.repeatability == .safe
        if let near = configuration.near, let answer = try await near.perform(request, target: call.target) {
            return answer
        }
        let answer = try await core.transport.perform(request)
        if configuration.logger.logLevel <= .debug {
            configuration.logger.debug(
                "request", metadata: ["request": "\(call.attempted)", "status": "\(answer.status)"])
        }
        core.authentication.adopt(answer.headers)
        return answer
    }
}
