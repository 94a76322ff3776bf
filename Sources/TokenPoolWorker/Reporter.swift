import CouchDB
import CouchDocument
import Logging
import TokenPool

/// Brings what a try left into the database: large files first, then the result with the small ones.
struct Reporter: Sendable {
    /// What became of a report.
    enum Outcome: Sendable {
        case saved(Token)
        case superseded(kept: Bool)
        /// Nothing could be written; the files stay in the work folder.
        case failed(any Error, String)
    }

    let pool: Pool
    let writer: ResultWriter
    let lease: Duration
    let patience: Patience
    let threads: BlockingThreads
    private static let uploadTries = 5

    /// - Returns: What became of it, and whether the work folder may go.
    func report(_ report: RunReport, of claim: ClaimedToken) async -> (outcome: Outcome, isComplete: Bool) {
        var claim = claim
        var result = report.result
        var isComplete = true
        do {
            for upload in report.uploads {
                switch try await put(upload, &claim) {
                case .attached: break
                case .superseded: return try await keep(result, claim)
                case .failed(let reason):
                    isComplete = false
                    result.uploads[upload.name] = nil
                    Self.fail(
                        &result,
                        "\(upload.name) could not be attached: \(reason); the files are kept in \(report.folder.path) on \(claim.worker.hostname)"
                    )
                }
            }
            for copy in report.copies {
                do {
                    let entry = try await patience.retrying { try await copy.run(threads) }
                    result.uploads[copy.name] = entry
                } catch {
                    isComplete = false
                    Self.fail(
                        &result,
                        "\(copy.name) could not be copied to \(copy.shownDestination): \(error); the files are kept in \(report.folder.path) on \(claim.worker.hostname)"
                    )
                }
            }
            let outcome: SaveOutcome
            do {
                outcome = try await writer.write(result, of: claim)
            } catch let error as CouchDBError where !result.attachments.isEmpty && !error.isUncertain {
                // The small files may be what it refuses: without them, but not in silence.
                isComplete = false
                result.attachments = []
                result.uploads = [:]
                Self.fail(
                    &result,
                    "the result was refused with its files: \(error); they are kept in \(report.folder.path) on \(claim.worker.hostname)"
                )
                outcome = try await writer.write(result, of: claim)
            }
            switch outcome {
            case .saved(let token): return (.saved(token), isComplete)
            case .superseded: return try await keep(result, claim)
            }
        } catch {
            return (
                .failed(error, "token \"\(claim.token.id)\": \(error); its files are kept in \(report.folder.path)"),
                false
            )
        }
    }

    private static func fail(_ result: inout TokenResult, _ message: String) {
        if result.outcome == .done { result.outcome = .failed }
        result.messages.append(message)
    }

    private func keep(_ result: TokenResult, _ claim: ClaimedToken) async throws -> (Outcome, Bool) {
        let isKept = try await patience.retrying { try await pool.keep(result, of: claim) }
        return (.superseded(kept: isKept), true)
    }

    private enum Put {
        case attached
        case superseded
        case failed(String)
    }

    /// Attaches a file on the claim's revision, with a lease long enough for it, and moves the claim on.
    private func put(_ upload: RunReport.Upload, _ claim: inout ClaimedToken) async throws -> Put {
        // 256 KiB/s is slow for any site; whoever dies meanwhile keeps the token for that long.
        let needed = max(lease, .seconds(upload.size >> 18))
        let body: RequestBody =
            switch upload.source {
            case .bytes(let bytes): .bytes(bytes)
            case .file(let path): .file(path: path)
            }
        let start = pool.clock.now()
        var pause = Duration.milliseconds(100)
        var conflicts = 0
        var isFirst = true
        while true {
            do {
                if needed > lease || !isFirst {
                    let held = claim
                    switch try await pool.renew([held], for: needed).first {
                    case .renewed(let renewed): claim = renewed
                    case .failed(let error): throw error
                    case .lost, nil: return .superseded
                    }
                }
                isFirst = false
                let revision = try await pool.database.putAttachment(
                    upload.name, to: claim.token.id, revision: claim.token.revision, contentType: upload.contentType,
                    body: body)
                claim.noteAttachment(upload.name, contentType: upload.contentType, length: upload.size, revision)
                return .attached
            } catch CouchDBError.conflict {
                conflicts += 1
                if conflicts == Self.uploadTries { return .failed("others changed the token each time") }
            } catch let error as CouchDBError where error.isPassing && patience.allowsRetry(since: start) {
                isFirst = false
                try await patience.pause(pause)
                pause = min(pause * 2, .seconds(10))
            } catch let error as CouchDBError where !error.isPassing && error.code != .cancelled {
                return .failed("\(error)")
            }
        }
    }
}

extension RunReport.Upload {
    var size: Int {
        switch source {
        case .bytes(let bytes): bytes.count
        case .file(let path): FileStamp(path)?.size ?? 0
        }
    }
}
