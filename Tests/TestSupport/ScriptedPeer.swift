import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Servers that tests start must not hold the connections of peers: their ends would not be seen.
private let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)

/// A server that does exactly what a script says, for faults that no real server shows on demand. It speaks just enough
/// HTTP to read a request; the answer is the script's bytes.
package final class ScriptedPeer: Sendable {
    /// Where it listens.
    package let url: String
    private let listener: Int32
    private let path: String?

    /// Runs the script for every connection, on a thread of its own each.
    package init(_ script: @escaping @Sendable (PeerConnection) -> Void) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | closeOnExec, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            precondition(bind(descriptor, pointer, length) == 0 && listen(descriptor, 64) == 0, "no port for the peer")
            getsockname(descriptor, pointer, &length)
        }
        url = "http://127.0.0.1:\(address.sin_port.bigEndian)"
        listener = descriptor
        path = nil
        Self.serve(descriptor, script)
    }

    /// The same on a unix socket.
    package init(unixSocket path: String, _ script: @escaping @Sendable (PeerConnection) -> Void) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | closeOnExec, 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
            let length = socklen_t(MemoryLayout<sockaddr_un>.size)
            precondition(
                bind(descriptor, pointer, length) == 0 && listen(descriptor, 64) == 0, "no socket for the peer")
        }
        url = "http://localhost"
        listener = descriptor
        self.path = path
        Self.serve(descriptor, script)
    }

    deinit {
        // Ends the wait for connections; the thread that waits closes the descriptor, so that nobody else has it by then.
        shutdown(listener, Int32(SHUT_RDWR))
        if let path { unlink(path) }
    }

    private static func serve(_ listener: Int32, _ script: @escaping @Sendable (PeerConnection) -> Void) {
        startThread {
            var number = 0
            while true {
                let descriptor = accept(listener, nil, nil)
                if descriptor < 0 {
                    if errno == EINTR || errno == ECONNABORTED { continue }
                    close(listener)
                    return
                }
                _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
                number += 1
                let connection = PeerConnection(descriptor, number: number)
                startThread { script(connection) }
            }
        }
    }
}

private final class ThreadBody {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

package func startThread(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let pointer = Unmanaged.passRetained(ThreadBody(body)).toOpaque()
    pthread_create(
        &thread, nil,
        {
            Unmanaged<ThreadBody>.fromOpaque($0!).takeRetainedValue().run()
            return nil
        }, pointer)
    pthread_detach(thread)
}

/// A request as the peer saw it.
package struct PeerRequest: Sendable {
    package let line: String
    package let headers: [String]
    package let body: [UInt8]

    package init(line: String, headers: [String], body: [UInt8]) {
        self.line = line
        self.headers = headers
        self.body = body
    }

    package func header(_ name: String) -> String? {
        headers.first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { String($0.dropFirst(name.count + 1).drop { $0 == " " }) }
    }
}

/// One connection to a peer; used by its thread alone. It is closed when the script drops it.
package final class PeerConnection: Sendable {
    /// 1 for the peer's first.
    package let number: Int
    private let descriptor: Int32
    private let rest = Mutex<[UInt8]>([])
    private let blocked = Mutex<(@Sendable () -> Void)?>(nil)

    init(_ descriptor: Int32, number: Int) {
        self.descriptor = descriptor
        self.number = number
    }

    /// A connection to somebody who listens on this machine; `nil` when nobody does.
    package init?(toPort port: Int, number: Int = 1) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | closeOnExec, 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafeBytes(of: &address) { bytes in
            connect(
                descriptor, bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self),
                socklen_t(MemoryLayout<sockaddr_in>.size))
        }
        self.descriptor = descriptor
        self.number = number
        if status != 0 { return nil }
        var isOn: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &isOn, socklen_t(MemoryLayout<Int32>.size))
    }

    /// The bytes that come next, at most so many; none at the end.
    package func receive(upTo count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.removeLast(count - receive(&bytes))
        return bytes
    }

    deinit { close(descriptor) }

    /// Reads the next request with its body; `nil` when the client has gone.
    package func request() -> PeerRequest? {
        guard let head = requestHead() else { return nil }
        var body: [UInt8] = []
        if let length = head.header("Content-Length").flatMap({ Int($0) }) {
            while body.count < length { guard take(length - body.count, &body) else { return nil } }
        }
        return PeerRequest(line: head.line, headers: head.headers, body: body)
    }

    /// Reads only the head of the next request.
    package func requestHead() -> PeerRequest? {
        var text: [UInt8] = []
        while !text.ends(with: "\r\n\r\n".utf8) { guard take(1, &text) else { return nil } }
        let lines = String(decoding: text.dropLast(4), as: UTF8.self).components
        return PeerRequest(line: lines[0], headers: Array(lines.dropFirst()), body: [])
    }

    /// Reads at most so many bytes and drops them, those that came together with a head first; the number, 0 at the end.
    package func skip(_ count: Int) -> Int {
        let waiting = rest.withLock { rest in
            defer { rest.removeFirst(min(count, rest.count)) }
            return min(count, rest.count)
        }
        if waiting > 0 { return waiting }
        var buffer = [UInt8](repeating: 0, count: count)
        return receive(&buffer)
    }

    /// The number of bytes that came; 0 at the end. A signal is no end.
    private func receive(_ buffer: inout [UInt8]) -> Int {
        while true {
            let received = recv(descriptor, &buffer, buffer.count, 0)
            if received >= 0 || errno != EINTR { return max(0, received) }
        }
    }

    private func take(_ count: Int, _ into: inout [UInt8]) -> Bool {
        var bytes = rest.withLock { rest in
            defer { rest = [] }
            return rest
        }
        if bytes.isEmpty {
            bytes = [UInt8](repeating: 0, count: 65536)
            let received = receive(&bytes)
            guard received > 0 else { return false }
            bytes.removeLast(bytes.count - received)
        }
        into += bytes.prefix(count)
        rest.withLock { $0 = Array(bytes.dropFirst(count)) }
        return true
    }

    /// Sends bytes; `false` when the client has gone.
    @discardableResult
    package func send(_ bytes: some Collection<UInt8>) -> Bool {
        let bytes = Array(bytes)
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count < 0 && errno == EAGAIN {
                blocked.withLock { $0?() }
                continue
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// Calls this whenever the client has taken nothing for a while.
    package func whenBlocked(_ body: @escaping @Sendable () -> Void) {
        blocked.withLock { $0 = body }
        var time = timeval(tv_sec: 0, tv_usec: 300_000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
    }

    /// Sends text.
    @discardableResult
    package func send(_ text: String) -> Bool { send(text.utf8) }

    /// Sends a complete answer with a JSON body.
    @discardableResult
    package func answer(_ status: Int, _ json: String, headers: [String] = []) -> Bool {
        let fields = headers.map { $0 + "\r\n" }.joined()
        return send(
            "HTTP/1.1 \(status) X\r\nContent-Type: application/json\r\n\(fields)Content-Length: \(json.utf8.count)\r\n\r\n"
                + json)
    }

    /// Cuts the connection with a reset.
    package func reset() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    /// Ends the connection in order.
    package func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    /// Waits until the client closes the connection.
    package func waitForClose() { while skip(4096) > 0 {} }
}

extension String {
    fileprivate var components: [String] {
        split(separator: "\r\n", omittingEmptySubsequences: false).map(String.init)
    }
}

extension Array where Element == UInt8 {
    fileprivate func ends(with suffix: String.UTF8View) -> Bool { self.suffix(suffix.count).elementsEqual(suffix) }
}

/// What peers have seen, from all their threads.
package final class Notes<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    package init() {}
    package func add(_ value: Value) { values.withLock { $0.append(value) } }
    package var all: [Value] { values.withLock { $0 } }
}

/// Removes a file of a test.
package func unlinkFile(_ path: String) { unlink(path) }
