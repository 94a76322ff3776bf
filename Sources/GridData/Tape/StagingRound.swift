import CouchDB
import CouchDocument
import Logging
import TokenPool

/// One turn at one storage element.
struct StagingRound: Sendable {
    let rse: RSE
    let settings: StagingDesk.Settings
    let service: any TapeService
    let active: Set<Int>
    /// Whether the storage is asked what became of requests.
    let polls: Bool
    var requests: [StagingRequest]

    var asked: Set<DID> { Set(requests.flatMap(\.dids)) }
    var count: Int { requests.reduce(0) { $0 + $1.files.count } }
}

extension StagingDesk {
    /// Does what there is to do: what is over first, what is new last.
    func work(_ round: inout StagingRound) async throws {
        try await dropExpired(&round)
        try await letGo(&round)
        if round.polls { try await poll(&round) }
        try await keepOnline(round)
        try await renew(&round)
        try await ask(&round)
    }

    /// Requests whose end has passed hold nothing any more.
    private func dropExpired(_ round: inout StagingRound) async throws {
        let now = clock.now()
        for request in round.requests where request.until <= now { try await drop(request, &round) }
    }

    /// Forgets a request that holds nothing any more.
    private func drop(_ request: StagingRequest, _ round: inout StagingRound) async throws {
        round.requests.removeAll { $0.document.id == request.document.id }
        try await mark(request.dids.filter { !round.asked.contains($0) }, offlineAt: round.rse.name)
        try await remove(request)
    }

    /// Lets go what nobody wants any more.
    private func letGo(_ round: inout StagingRound) async throws {
        let wanted = try await projects.wanted(Array(round.asked), by: round.active)
        for request in round.requests {
            let over = request.files.filter { !wanted.contains($0.value.did) }
            if over.isEmpty { continue }
            guard isSafe(round.rse.name) else { return }
            let paths = over.keys.sorted()
            // First that nobody is sent there any more.
            try await mark(over.values.map(\.did), offlineAt: round.rse.name)
            book.forget(over.values.map(\.did))
            do {
                if over.count == request.files.count {
                    try await round.service.end(request.request, paths)
                } else {
                    try await round.service.release(paths, of: request.request)
                }
            } catch let error as GridError where error.code == .notFound {
                // The storage has let them go already.
            }
            var left = request
            for path in paths { left.files[path] = nil }
            try await write(left, &round)
        }
    }

    /// Asks what became of the files.
    private func poll(_ round: inout StagingRound) async throws {
        let now = clock.now()
        for request in round.requests {
            let waiting = request.files.filter { !$0.value.isOnline }.keys.sorted()
            if waiting.isEmpty { continue }
            let states: [String: TapeFileState]
            do { states = try await round.service.progress(of: request.request, waiting) } catch let error as GridError
                where error.code == .notFound
            {
                // Once may be a door that is elsewhere for a moment.
                if missing.insert(request.document.id).inserted { continue }
                missing.remove(request.document.id)
                try await drop(request, &round)
                continue
            }
            missing.remove(request.document.id)
            var online: [DID] = []
            var failed: [DID: String] = [:]
            var left = request
            for (path, state) in states {
                guard let file = left.files[path] else { continue }
                switch state {
                case .online:
                    left.files[path]?.isOnline = true
                    online.append(file.did)
                case .failed(let reason):
                    left.files[path] = nil
                    failed[file.did] = reason
                }
            }
            if online.isEmpty && failed.isEmpty { continue }
            try await mark(online, onlineAt: round.rse.name)
            try await mark(failed, round, now)
            try await write(left, &round)
        }
    }

    /// A catalogue that was loaded again may say of a file that is on disk that it is not.
    private func keepOnline(_ round: StagingRound) async throws {
        let entries = book[round.rse.name]
        let wrong = round.requests.flatMap(\.files.values).filter { file in
            file.isOnline && entries[file.did]?.replica.isAvailable == false
        }
        try await mark(wrong.map(\.did), onlineAt: round.rse.name)
    }

    /// Asks again for what will soon be let go by the storage, and is still wanted.
    private func renew(_ round: inout StagingRound) async throws {
        let margin = max(round.settings.life * 0.25, round.settings.poll * 2)
        for request in round.requests where request.until - clock.now() < min(margin, round.settings.life * 0.5) {
            guard try await holdOn(round.rse.name), isSafe(round.rse.name) else { return }
            let paths = request.files.keys.sorted()
            let id = try await round.service.stage(paths, for: round.settings.life)
            let next = StagingRequest(
                rse: round.rse.name, request: id, files: request.files, until: clock.now() + round.settings.life,
                name: Self.newName())
            try await write(next, &round)
            if id != request.request {
                do { try await round.service.end(request.request, paths) } catch let error as GridError
                    where error.code == .notFound
                {
                    // It has ended by itself.
                }
            }
            round.requests.removeAll { $0.document.id == request.document.id }
            try await remove(request)
        }
    }

    /// Asks for files that are not on disk, as many as may be.
    private func ask(_ round: inout StagingRound) async throws {
        let name = round.rse.name
        if let rest = rests[name], rest.until > clock.now() { return }
        while round.count < round.settings.most {
            let room = min(round.settings.batch, round.settings.most - round.count)
            let some = book.candidates(at: name, asked: round.asked, now: clock.now(), most: room)
            if some.isEmpty { return }
            let wanted = try await projects.wanted(some, by: round.active)
            book.forget(some.filter { !wanted.contains($0) })
            var files: [String: StagingRequest.File] = [:]
            for did in some where wanted.contains(did) {
                guard let replica = book[name][did]?.replica else { continue }
                if let path = round.rse.tapePath(of: replica), files[path] == nil {
                    files[path] = StagingRequest.File(did: did)
                } else {
                    try await mark([did: "no path can be made of its URL"], round, clock.now())
                }
            }
            if files.isEmpty { continue }
            guard try await holdOn(name), isSafe(name) else { return }
            let now = clock.now()
            do {
                let id = try await round.service.stage(files.keys.sorted(), for: round.settings.life)
                rests[name] = nil
                let request = StagingRequest(
                    rse: name, request: id, files: files, until: now + round.settings.life, name: Self.newName())
                try await write(request, &round)
                logger.info("asked for files on tape", metadata: ["rse": "\(name)", "files": "\(files.count)"])
            } catch let error as GridError {
                let pause = min((rests[name]?.pause).map { $0 * 2 } ?? round.settings.poll, .seconds(600))
                rests[name] = (now + pause, pause)
                throw error
            }
        }
    }

    private static func newName() -> String { String(UInt64.random(in: 0 ... .max), radix: 36) }
}

// What is written.
extension StagingDesk {
    /// Writes a request as it is now, or removes it when it has no files any more.
    private func write(_ request: StagingRequest, _ round: inout StagingRound) async throws {
        var request = request
        let index = round.requests.firstIndex { $0.document.id == request.document.id }
        if request.files.isEmpty {
            if let index { round.requests.remove(at: index) }
            try await remove(request)
            return
        }
        request.write()
        request.document.revision = try await projects.database.save(request.document)
        if let index { round.requests[index] = request } else { round.requests.append(request) }
    }

    private func remove(_ request: StagingRequest) async throws {
        guard let revision = request.document.revision else { return }
        do { try await projects.database.delete(request.document.id, revision: revision) } catch CouchDBError.notFound {
            // Somebody did so.
        }
    }

    private func mark(_ dids: [DID], onlineAt rse: String) async throws {
        if dids.isEmpty { return }
        try await projects.change(dids, at: rse) { _, replica in
            replica.isAvailable = true
            replica.staging = nil
        }
        try await note(dids)
    }

    private func mark(_ dids: [DID], offlineAt rse: String) async throws {
        if dids.isEmpty { return }
        try await projects.change(dids, at: rse) { _, replica in replica.isAvailable = false }
        try await note(dids)
    }

    /// Writes down why files did not come, and when they are asked for again.
    private func mark(_ failed: [DID: String], _ round: StagingRound, _ now: Timestamp) async throws {
        if failed.isEmpty { return }
        let settings = round.settings
        try await projects.change(Array(failed.keys), at: round.rse.name) { did, replica in
            let tries = (replica.staging?.tries ?? 0) + 1
            let pause = min(settings.pause * (1 << min(tries - 1, 20)), settings.longestPause)
            replica.isAvailable = false
            replica.staging = StagingFailure(reason: failed[did] ?? "", tries: tries, next: now + pause)
        }
        for (did, reason) in failed.sorted(by: { $0.key.description < $1.key.description }).prefix(20) {
            logger.warning(
                "a file can not be brought from tape",
                metadata: ["file": "\(did)", "rse": "\(round.rse.name)", "reason": "\(reason)"])
        }
        if failed.count > 20 {
            logger.warning(
                "more files can not be brought from tape",
                metadata: ["files": "\(failed.count - 20)", "rse": "\(round.rse.name)"])
        }
        try await note(Array(failed.keys))
    }

    /// Reads what was just written into the book.
    private func note(_ dids: [DID]) async throws {
        for file in try await projects.replicas(of: dids) where book.knows(file.did) {
            book.note(file.did, file.replicas)
        }
    }
}
