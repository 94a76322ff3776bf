#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `_approx_count_distinct`: HyperLogLog with 2¹¹ registers, as CouchDB's (relative error about 2 %). Small counts come
/// from the share of registers that are empty and are exact or nearly so.
struct DistinctSketch {
    private static let bits = 11
    private static let size = 1 << bits
    private var registers = [UInt8](repeating: 0, count: size)

    init() {}

    /// Takes up what ``encoded()`` gave.
    init(_ encoded: ArraySlice<UInt8>) { merge(encoded) }

    mutating func insert(_ key: ArraySlice<UInt8>) {
        // FNV-1a, then the finalizer of SplitMix64 to spread its weak high bits.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        hash = (hash ^ hash >> 30) &* 0xbf58_476d_1ce4_e5b9
        hash = (hash ^ hash >> 27) &* 0x94d0_49bb_1331_11eb
        hash ^= hash >> 31
        let index = Int(hash >> UInt64(64 - Self.bits))
        let rank = UInt8(min(64 - Self.bits, (hash << UInt64(Self.bits)).leadingZeroBitCount) + 1)
        registers[index] = max(registers[index], rank)
    }

    mutating func merge(_ encoded: ArraySlice<UInt8>) {
        var index = encoded.startIndex
        while index + 2 < encoded.endIndex {
            let register = Int(encoded[index]) << 8 | Int(encoded[index + 1])
            if register < Self.size { registers[register] = max(registers[register], encoded[index + 2]) }
            index += 3
        }
    }

    /// The registers that are in use, three bytes each.
    func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        for (index, rank) in registers.enumerated() where rank > 0 {
            bytes.append(UInt8(index >> 8))
            bytes.append(UInt8(index & 0xFF))
            bytes.append(rank)
        }
        return bytes
    }

    var estimate: Int {
        let size = Double(Self.size)
        var sum = 0.0
        var empty = 0
        for rank in registers {
            sum += pow(2, -Double(rank))
            if rank == 0 { empty += 1 }
        }
        let raw = 0.7213 / (1 + 1.079 / size) * size * size / sum
        let linear = empty > 0 ? size * log(size / Double(empty)) : raw
        return Int((raw <= 2.5 * size && empty > 0 ? linear : raw).rounded())
    }
}
