#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Events by their time: a heap. Those of one time come in the order in which they were added.
struct EventQueue<Event> {
    private var heap: [(time: Double, number: Int, event: Event)] = []
    private var added = 0

    /// The earliest.
    var next: (time: Double, event: Event)? { heap.first.map { ($0.time, $0.event) } }

    mutating func add(_ event: Event, at time: Double) {
        added += 1
        heap.append((time, added, event))
        var place = heap.count - 1
        while place > 0, isEarlier(place, (place - 1) / 2) {
            heap.swapAt(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
    }

    mutating func removeFirst() {
        heap.swapAt(0, heap.count - 1)
        heap.removeLast()
        var place = 0
        while true {
            var first = place
            for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isEarlier(child, first) {
                first = child
            }
            if first == place { return }
            heap.swapAt(place, first)
            place = first
        }
    }

    private func isEarlier(_ one: Int, _ other: Int) -> Bool {
        (heap[one].time, heap[one].number) < (heap[other].time, heap[other].number)
    }
}

extension EventQueue: Sendable where Event: Sendable {}

/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers for the same seed.
struct SplitMix: RandomNumberGenerator, Sendable {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

/// The natural logarithm.
func logarithm(_ value: Double) -> Double { log(value) }
