public import CouchDocument

/// Something that happened to a file of a project: an entry of its log, by Data Dispatcher's names.
public struct FileEvent: Hashable, Sendable {
    /// What happened.
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// The project was made.
        case create
        /// A worker got it.
        case reserve
        /// Its worker processed it.
        case done
        /// Its worker did not.
        case failed
        /// Its worker had it for too long.
        case timeout = "worker_timeout"
        /// Somebody put it back.
        case reset
    }

    /// When.
    public var at: Timestamp
    /// What.
    public var kind: Kind
    /// The worker; `nil` when none had it.
    public var worker: String?
    /// Where the file stood afterwards.
    public var state: FileState

    /// As it goes to whoever asks.
    public var json: JSON {
        [
            "at": at.json, "event": .string(kind.rawValue), "worker_id": worker.map(JSON.string) ?? .null,
            "state": .string(state.rawValue),
        ]
    }
}

extension Project.FileHandle {
    /// What happened to the file, the oldest first: the last ten tries, and the one that is under way.
    ///
    /// - Parameter created: When its project was made.
    public func log(created: Timestamp) -> [FileEvent] {
        var events = [FileEvent(at: created, kind: .create, worker: nil, state: .initial)]
        for attempt in token.pool.history {
            let worker = attempt.worker.isEmpty ? nil : attempt.worker
            if worker != nil {
                events.append(FileEvent(at: attempt.started, kind: .reserve, worker: worker, state: .reserved))
            }
            let kind: FileEvent.Kind =
                switch attempt.outcome {
                case .done: .done
                case .lapsed: .timeout
                case .reset: .reset
                case .failed, .released, .timeLimit: .failed
                }
            events.append(FileEvent(at: attempt.ended, kind: kind, worker: worker, state: attempt.stateAfter))
        }
        if state == .reserved, let since = reservedSince {
            events.append(FileEvent(at: since, kind: .reserve, worker: workerID, state: .reserved))
        }
        return events
    }
}

extension Attempt {
    /// The mark of a try after which the file went back.
    static let putBack = "retry"

    fileprivate var stateAfter: FileState {
        switch outcome {
        case .done: .done
        case .reset, .released: .initial
        case .failed, .lapsed, .timeLimit: reason == Self.putBack ? .initial : .failed
        }
    }
}
