import CouchDocument

/// The ids of a set that is about to be written: finds ids that appear twice, and later knows which belong to the set.
/// Keeps 16 bytes a token, not the tokens.
struct SetLedger: Sendable {
    private var ordinals: [UInt64: UInt32] = [:]
    /// How many tokens there are.
    private(set) var count = 0
    /// Who waits for whom.
    private(set) var dependencies = DependencyCheck()

    /// Makes every token once.
    ///
    /// - Throws: What is wrong with the first bad token, or which two of them have one id.
    init(_ configuration: SetConfiguration, progress: TokenSets.Progress?) throws {
        var tokens = configuration.tokens().checking()
        while let token = try tokens.nextToken() {
            let hash = Self.hash(token.id)
            if let earlier = ordinals[hash] {
                try Self.compare(token.id, from: tokens.place, ordinal: earlier, of: configuration)
                // Two ids with one 64-bit hash: neither is worth more memory, but both must be known.
                guard ordinals[hash &+ 1] == nil else { throw PoolError(.badInput, "too many ids with one hash") }
                ordinals[hash &+ 1] = UInt32(clamping: count)
            } else {
                ordinals[hash] = UInt32(clamping: count)
            }
            dependencies.add(token)
            count += 1
            if count % 1000 == 0 {
                try Task.checkCancellation()
                progress?(SetProgress(phase: .checking, done: count, total: nil))
            }
        }
        guard count > 0 else {
            throw ConfigurationError(
                ConfigurationPlace(file: configuration.file), "the configuration makes no token: its source is empty")
        }
    }

    /// Whether the set may have a token of that id.
    func contains(_ id: String) -> Bool { ordinals[Self.hash(id)] != nil }

    private static func compare(
        _ id: String, from place: String, ordinal: UInt32, of configuration: SetConfiguration
    ) throws {
        var tokens = configuration.tokens().checking()
        var index: UInt32 = 0
        while let token = try tokens.nextToken() {
            if index == ordinal {
                guard token.id == id else { return }
                throw ConfigurationError(
                    ConfigurationPlace(file: configuration.file),
                    "two tokens have the id \"\(id)\": from \(tokens.place) and from \(place); make `name` tell them apart"
                )
            }
            index += 1
        }
    }

    /// FNV-1a, finished as SplitMix64 is: the same in every run, and even over 64 bits.
    private static func hash(_ id: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for unit in id.utf8 { hash = (hash ^ UInt64(unit)) &* 0x0000_0100_0000_01b3 }
        hash = (hash ^ (hash >> 30)) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ (hash >> 27)) &* 0x94d0_49bb_1331_11eb
        return hash ^ (hash >> 31)
    }
}
