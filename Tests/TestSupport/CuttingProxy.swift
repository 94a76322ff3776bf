import Foundation
import Synchronization

/// A way to a server of this machine on which connections are cut and held up, as a plan says.
package final class CuttingProxy: Sendable {
    /// What becomes of a connection.
    package enum Fault: Hashable, Sendable {
        case none
        /// Cut when so many bytes of requests went through.
        case cutRequest(after: Int)
        /// Cut when so many bytes of answers went through: the server has done what was asked.
        case cutAnswer(after: Int)
        /// Held up once, when so many bytes of answers went through.
        case delay(after: Int, milliseconds: Int)
    }

    /// Which connection meets which fault: the same for the same seed, whatever happens meanwhile.
    package struct Plan: Hashable, Sendable {
        package var seed: UInt64
        /// How many of a hundred connections meet a fault.
        package var percent: Int

        package init(seed: UInt64, percent: Int) {
            self.seed = seed
            self.percent = percent
        }

        /// The fault of the n-th connection.
        package func fault(_ connection: Int) -> Fault {
            var random = SeededRandom(seed: seed &+ UInt64(connection) &* 0x9E37_79B9)
            guard Int.random(in: 0..<100, using: &random) < percent else { return .none }
            // As likely among the first hundreds of bytes as among the hundred thousands.
            let bytes = Int(exp(Double.random(in: log(50)...log(400_000), using: &random)))
            switch Int.random(in: 0..<5, using: &random) {
            case 0, 1: return .cutRequest(after: bytes)
            case 2, 3: return .cutAnswer(after: bytes)
            default: return .delay(after: bytes, milliseconds: Int.random(in: 50...3000, using: &random))
            }
        }
    }

    /// Where it listens, without user and password.
    package var url: String { peer.url }
    /// How many connections were cut.
    package var cuts: Int { counts.withLock(\.cuts) }
    /// How many were held up.
    package var delays: Int { counts.withLock(\.delays) }

    private struct Counts {
        var cuts = 0
        var delays = 0
    }
    private final class Counter: Sendable {
        // Protects what the threads of all connections count.
        let counts = Mutex(Counts())
        func withLock<Value: Sendable>(_ body: (inout sending Counts) -> sending Value) -> Value {
            counts.withLock(body)
        }
    }
    private let counts: Counter
    private let peer: ScriptedPeer

    /// A way to that port.
    package init(toPort port: Int, _ plan: Plan) {
        let counts = Counter()
        self.counts = counts
        peer = ScriptedPeer { client in
            guard let server = PeerConnection(toPort: port) else { return client.reset() }
            let fault = plan.fault(client.number)
            startThread { Self.carryAnswers(from: server, to: client, fault, counts) }
            Self.carryRequests(from: client, to: server, fault, counts)
        }
    }

    private static func carryRequests(
        from client: PeerConnection, to server: PeerConnection, _ fault: Fault, _ counts: Counter
    ) {
        var left = Int.max
        if case .cutRequest(let bytes) = fault { left = bytes }
        while true {
            let bytes = client.receive(upTo: min(65536, left))
            if bytes.isEmpty || !server.send(bytes) { break }
            left -= bytes.count
            if left == 0 {
                counts.withLock { $0.cuts += 1 }
                client.reset()
                break
            }
        }
        server.end()
    }

    private static func carryAnswers(
        from server: PeerConnection, to client: PeerConnection, _ fault: Fault, _ counts: Counter
    ) {
        var left = Int.max
        var pause = 0
        switch fault {
        case .cutAnswer(let bytes): left = bytes
        case .delay(let bytes, let milliseconds): (left, pause) = (bytes, milliseconds)
        case .none, .cutRequest: break
        }
        while true {
            let bytes = server.receive(upTo: min(65536, left))
            if bytes.isEmpty || !client.send(bytes) { break }
            left -= bytes.count
            guard left == 0 else { continue }
            if pause > 0 {
                counts.withLock { $0.delays += 1 }
                Thread.sleep(forTimeInterval: Double(pause) / 1000)
                left = Int.max
            } else {
                counts.withLock { $0.cuts += 1 }
                client.reset()
                break
            }
        }
        client.end()
    }
}
