/// Lets a few scenarios play at a time, and those with requests that wait for others alone: what they see depends on who
/// comes first, which a crowded machine decides anew.
actor Stage {
    static let common = Stage(places: 6)

    private let places: Int
    private var free: Int
    private var waiting: [(wanted: Int, continuation: CheckedContinuation<Void, Never>)] = []

    init(places: Int) {
        self.places = places
        free = places
    }

    /// Runs a body when there is room for it.
    nonisolated func play<Result: Sendable>(alone: Bool, _ body: @Sendable () async throws -> Result) async rethrows
        -> Result
    {
        let wanted = alone ? places : 1
        await enter(wanted)
        do {
            let result = try await body()
            await leave(wanted)
            return result
        } catch {
            await leave(wanted)
            throw error
        }
    }

    private func enter(_ wanted: Int) async {
        if waiting.isEmpty && free >= wanted {
            free -= wanted
            return
        }
        await withCheckedContinuation { waiting.append((wanted, $0)) }
    }

    private func leave(_ places: Int) {
        free += places
        while let next = waiting.first, next.wanted <= free {
            free -= next.wanted
            waiting.removeFirst().continuation.resume()
        }
    }
}
