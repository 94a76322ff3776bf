/// A canonical Huffman code.
struct HuffmanCode: Sendable {
    /// Codes up to this length are looked up at once.
    private static let quickLength = 9
    private static let longest = 15

    /// How many codes there are of each length, and the symbols in the codes' order.
    private var counts = [Int](repeating: 0, count: Self.longest + 1)
    private var symbols: [Int] = []
    /// By the next bits: symbol and length of the code that they begin with; length 0 for a longer one.
    private var quick = [(symbol: UInt16, length: UInt8)](repeating: (0, 0), count: 1 << Self.quickLength)

    /// A code of these lengths, 0 for symbols without one. `nil` when there are more codes than bits can tell apart.
    init?(lengths: [Int]) {
        for length in lengths where length > 0 { counts[length] += 1 }
        var left = 1
        for length in 1...Self.longest {
            left = left << 1 - counts[length]
            if left < 0 { return nil }
        }
        symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
        var code = 0
        var last = 0
        for symbol in symbols {
            let length = lengths[symbol]
            code <<= length - last
            last = length
            if length <= Self.quickLength {
                // The bits of a code come with the highest first, those of the reader with the lowest first.
                let reversed = (0..<length).reduce(0) { $0 | (code >> $1 & 1) << (length - 1 - $1) }
                for index in stride(from: reversed, to: quick.count, by: 1 << length) {
                    quick[index] = (UInt16(truncatingIfNeeded: symbol), UInt8(truncatingIfNeeded: length))
                }
            }
            code += 1
        }
    }

    /// Reads one symbol; `nil` for a code that means nothing or at the end of the input.
    func next(_ reader: inout BitReader) -> Int? {
        let bits = reader.peek(Self.longest)
        let found = quick[bits & (1 << Self.quickLength - 1)]
        if found.length > 0 { return reader.skip(Int(found.length)) ? Int(found.symbol) : nil }
        var code = 0
        var first = 0
        var index = 0
        for length in 1...Self.longest {
            code |= bits >> (length - 1) & 1
            let count = counts[length]
            if code - count < first { return reader.skip(length) ? symbols[index + code - first] : nil }
            index += count
            first = (first + count) << 1
            code <<= 1
        }
        return nil
    }
}
