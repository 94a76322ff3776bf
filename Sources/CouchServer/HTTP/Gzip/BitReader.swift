/// Reads bits from the low end of each byte.
struct BitReader: Sendable {
    private var bytes: [UInt8] = []
    private var position = 0
    private var buffer: UInt64 = 0
    private var available = 0
    /// All input was pushed.
    var isComplete = false

    mutating func push(_ input: some Sequence<UInt8>) {
        bytes.removeFirst(position)
        position = 0
        bytes.append(contentsOf: input)
    }

    /// Whether so many bytes can be read, or all that will ever come.
    func has(bytes count: Int) -> Bool { isComplete || bytes.count - position >= count }

    var isAtEnd: Bool { position >= bytes.count && available < 8 }

    private mutating func fill() {
        while available <= 48, position < bytes.count {
            buffer |= UInt64(bytes[position]) << UInt64(available)
            position += 1
            available += 8
        }
    }

    /// The next bits without taking them, zeros where the input ends.
    mutating func peek(_ count: Int) -> Int {
        if available < count { fill() }
        return Int(buffer & (1 << UInt64(count) - 1))
    }

    /// Takes bits that were looked at; `false` at the end of the input.
    mutating func skip(_ count: Int) -> Bool {
        guard available >= count else { return false }
        buffer >>= UInt64(count)
        available -= count
        return true
    }

    /// The next bits, at most 16; `nil` at the end.
    mutating func bits(_ count: Int) -> UInt32? {
        let value = peek(count)
        return skip(count) ? UInt32(value) : nil
    }

    /// 32 bits.
    mutating func word() -> UInt32? {
        guard let low = bits(16), let high = bits(16) else { return nil }
        return low | high << 16
    }

    mutating func alignToByte() { _ = skip(available & 7) }
}
