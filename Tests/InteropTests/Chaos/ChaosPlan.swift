import CouchDocument
import Foundation
import TestSupport
import TokenPool

/// What happens to whom in a chaos run: the same for the same seed.
///
/// Blows fall by what has been done, not by the clock: spread evenly over the tokens, the last when a tenth is left.
struct ChaosPlan: Hashable, Sendable {
    /// A blow.
    enum Blow: Hashable, Sendable {
        /// SIGKILL for the pilot in that place.
        case kill(Int)
        /// SIGSTOP, until others have taken back one of its leases; then SIGCONT.
        case stop(Int)
        /// SIGTERM.
        case terminate(Int)
        /// SIGKILL for the server, which is started again on its folder.
        case killServer
    }

    /// What a token is like.
    struct Work: Hashable, Sendable {
        /// How long its command takes.
        let milliseconds: Int
        /// How often it may be tried.
        let limit: Int
        /// Whether its command fails each time.
        let fails: Bool
    }

    let seed: UInt64
    let pilots: Int
    let slots = 4
    let blows: [Blow]
    let work: [Work]
    let cuts: CuttingProxy.Plan
    /// All of it must be over by then.
    let timeLimit: Duration

    init(
        seed: UInt64, pilots: Int, tokens: Int, kills: Int, stops: Int, terminations: Int, serverKills: Int,
        cutPercent: Int, timeLimit: Duration
    ) {
        self.seed = seed
        self.pilots = pilots
        self.timeLimit = timeLimit
        var random = SeededRandom(seed: seed)
        work = (0..<tokens).map { number in
            // Every fiftieth fails always, every tenth may be tried only twice.
            Work(
                milliseconds: Int.random(in: 0...200, using: &random), limit: number % 10 == 3 ? 2 : 100,
                fails: number % 50 == 23)
        }
        var blows = (0..<kills).map { _ in Blow.kill(Int.random(in: 0..<pilots, using: &random)) }
        blows += (0..<terminations).map { _ in .terminate(Int.random(in: 0..<pilots, using: &random)) }
        blows += (0..<serverKills).map { _ in .killServer }
        blows.shuffle(using: &random)
        // Stopped ones need their time: they come first, among others.
        for _ in 0..<stops {
            blows.insert(
                .stop(Int.random(in: 0..<pilots, using: &random)),
                at: Int.random(in: 0...blows.count / 2, using: &random))
        }
        self.blows = blows
        cuts = CuttingProxy.Plan(seed: seed, percent: cutPercent)
    }

    /// How many blows have fallen when so many tokens have ended.
    func due(ended: Int) -> Int { min(blows.count, ended * blows.count * 10 / (work.count * 9)) }

    /// What the suite runs.
    static func short(seed: UInt64) -> ChaosPlan {
        ChaosPlan(
            seed: seed, pilots: 6, tokens: 400, kills: 8, stops: 2, terminations: 4, serverKills: 2, cutPercent: 30,
            timeLimit: .seconds(150))
    }

    /// A round of the long form: 16 pilots of 4 slots, 5,000 tokens.
    static func long(seed: UInt64) -> ChaosPlan {
        ChaosPlan(
            seed: seed, pilots: 16, tokens: 5000, kills: 80, stops: 12, terminations: 40, serverKills: 8,
            cutPercent: 30, timeLimit: .seconds(900))
    }

    /// The tokens to work on. Each notes the lease under which its command ran.
    func tokens(journal: String) -> [Token] {
        work.enumerated().map { number, work in
            var token = Token(id: "chaos_\(number)")
            token.pool.maxAttempts = work.limit
            token.pool.command = [
                "/bin/sh", "-c",
                "echo \"$1 $TOKENPOOL_LEASE\" >> \"$2\"; sleep \"$3\"; echo \"ran $1\"; exit \"$4\"", "sh", "{id}",
                .string(journal), .string(String(format: "0.%03d", work.milliseconds)),
                .string(work.fails ? "1" : "0"),
            ]
            return token
        }
    }
}
