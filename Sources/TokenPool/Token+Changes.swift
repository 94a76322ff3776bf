import CouchDocument
import FoundationEssentials

// What happens to a token in its life, as changes of the document alone.
extension Token {
    /// Takes the token for a worker: lock, hostname and job id as PiCaS writes them, the lease, one try more.
    ///
    /// GRID_LRT's `status` and `times` are written when the token has them.
    mutating func claim(lease: Lease, by worker: WorkerIdentity) {
        lock = lease.since
        hostname = worker.hostname
        if let job = worker.job { self[job.field] = job.value }
        var pool = pool
        pool.attempts += 1
        pool.lease = lease
        pool.notBefore = nil
        self.pool = pool
        noteStatus("launched", at: Timestamp(seconds: lease.since))
    }

    /// Puts the token back to where it can be claimed, now or at that moment, and counts it in `scrub_count`.
    ///
    /// Unlike PiCaS' scrub this clears the exit code, which would else be the next try's when it says nothing, and
    /// leaves no machine's name behind.
    mutating func putBack(notBefore: Timestamp?) {
        scrubCount += 1
        lock = notBefore == nil ? 0 : TokenState.waitingLock
        done = 0
        hostname = ""
        if exitCode != nil { exitCode = "" }
        for field in WorkerIdentity.JobIdentifier.fields { self[field] = nil }
        var pool = pool
        pool.lease = nil
        pool.notBefore = notBefore
        self.pool = pool
    }

    /// Writes a result: the end of the token, or its return to the pool when it failed and has tries left.
    mutating func finish(_ result: TokenResult, of claim: ClaimedToken) {
        let before = self
        retire(
            Attempt(
                lease: claim.lease.id, worker: claim.worker.name, host: claim.worker.hostname, started: result.started,
                ended: result.ended, outcome: result.outcome, exitCode: result.exitCode, reason: result.messages.first))
        if result.outcome == .released, case .values(let lock, let done) = result.handBack {
            self.lock = lock ?? before.lock
            self.done = done ?? before.done
            hostname = before.hostname
            for field in WorkerIdentity.JobIdentifier.fields { self[field] = before[field] }
            noteStatus(state == .error ? "error" : before.status ?? "", at: result.ended)
        }
        if let output = result.output { self.output = output }
        for (name, value) in result.fields where TokenResult.mayWrite(name) { self[name] = value }
        if !result.uploads.isEmpty {
            var uploads = uploads?.objectValue ?? [:]
            uploads.merge(result.uploads)
            self.uploads = .object(uploads)
        }
        for message in result.messages { addError(message, at: result.ended) }
        for attachment in result.attachments { attach(attachment) }
    }

    /// Ends the present try: into the history with it, then back to the pool or to its end, as ``AttemptPolicy`` says.
    mutating func retire(_ attempt: Attempt) {
        var pool = pool
        pool.lease = nil
        pool.history.append(attempt)
        if attempt.outcome == .released { pool.attempts = max(0, pool.attempts - 1) }
        self.pool = pool
        let decision = AttemptPolicy(of: self).decide(
            after: attempt.outcome, attempt: pool.attempts, now: attempt.ended, spread: attempt.spread)
        switch decision {
        case .retry(let notBefore):
            putBack(notBefore: notBefore)
            noteStatus("queued", at: attempt.ended)
        case .giveUp:
            if let code = attempt.exitCode {
                // 0 in a token that ended means done, to PiCaS' views too: a command that ended well and whose outputs were
                // lost, or that took too long, has no exit code to show. The history keeps it.
                exitCode = code == 0 && attempt.outcome != .done ? "" : .integer(code)
            }
            done = attempt.ended.seconds
            // GRID_LRT keeps the exit code in `output` and the word in `status`.
            if status != nil, self.output?.objectValue == nil, let code = attempt.exitCode { output = .integer(code) }
            noteStatus(attempt.outcome == .done ? "done" : "error", at: attempt.ended)
        }
    }

    /// Puts the token back as PiCaS' `resetTokens` does: as if it had not been tried, but for `scrub_count`, `error` and
    /// the history. Logs and outputs go with it unless they are to be kept; named attachments are always kept.
    public mutating func reset(keepingAttachments kept: Set<String>? = nil, at now: Timestamp) {
        if let lease {
            pool.history.append(
                Attempt(
                    lease: lease.id, worker: lease.worker, host: hostname, started: Timestamp(seconds: lock),
                    ended: now,
                    outcome: .reset))
        }
        putBack(notBefore: nil)
        pool.attempts = 0
        exitCode = ""
        if let kept {
            document.attachments = JSONObject(
                document.attachments.filter { kept.contains($0.name) }.map { ($0.name, $0.value) })
        }
        if output?.objectValue == nil, output != nil, status != nil { output = "" }
        noteStatus("queued", at: now)
    }

    /// Gives the token up as PiCaS' `error` does: 99/99 and an entry.
    public mutating func giveUp(_ message: String, at now: Timestamp) {
        lock = TokenState.picasErrorMark
        done = TokenState.picasErrorMark
        pool.lease = nil
        addError(message, at: now)
        noteStatus("error", at: now)
    }

    /// Adds a file to be saved with the document.
    public mutating func attach(_ attachment: TokenResult.InlineAttachment) {
        document.attachments[attachment.name] = [
            "content_type": .string(attachment.contentType),
            "data": .string(Data(attachment.bytes).base64EncodedString()),
        ]
    }

    /// Adds bytes under a name, to be saved with the document.
    public mutating func attach(_ bytes: [UInt8], as name: String, contentType: String = "text/plain; charset=utf-8") {
        attach(TokenResult.InlineAttachment(name: name, contentType: contentType, bytes: bytes))
    }

    /// The document after a save: with its new revision, and stubs where content was sent.
    func saved(as revision: Revision) -> Token {
        var token = self
        token.revision = revision
        guard !document.attachments.isEmpty else { return token }
        var attachments = document.attachments
        for (name, value) in attachments {
            guard let data = value["data"]?.stringValue else { continue }
            attachments[name] = [
                "content_type": value["content_type"] ?? "application/octet-stream",
                "revpos": .integer(revision.generation), "length": .integer(Self.decodedLength(data)), "stub": true,
            ]
        }
        token.document.attachments = attachments
        return token
    }

    private static func decodedLength(_ base64: String) -> Int {
        base64.utf8.count / 4 * 3 - base64.utf8.suffix(2).count { $0 == UInt8(ascii: "=") }
    }

    /// GRID_LRT's `status` and `times`, in tokens that have them.
    mutating func noteStatus(_ word: String, at time: Timestamp) {
        guard status != nil else { return }
        status = word
        guard var times = document["times"]?.objectValue else { return }
        times[word] = time.json
        document["times"] = .object(times)
    }
}
