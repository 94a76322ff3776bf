import Dispatch
import Foundation

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A bare TCP connection: a client that sends any bytes, stops in the middle, or never reads.
///
/// Its calls block, so they are made on a queue of its own; one at a time.
final class RawSocket: Sendable {
    private let descriptor: Int32
    private let seconds: Int32
    private let queue = DispatchQueue(label: "tests.socket")

    /// - Parameters:
    ///   - seconds: How long to wait for the next bytes.
    ///   - receiveBuffer: Bytes that the kernel takes in for a client that does not read.
    init(port: Int, seconds: Int32 = 30, receiveBuffer: Int32? = nil) throws {
        self.seconds = seconds
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw RawError(description: "no socket: \(String(cString: strerror(errno)))") }
        if var receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBuffer, socklen_t(MemoryLayout<Int32>.size))
        }
        var limit = timeval(tv_sec: Int(seconds), tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else {
            let reason = String(cString: strerror(errno))
            close(descriptor)
            throw RawError(description: "can not connect to port \(port): \(reason)")
        }
    }

    deinit { close(descriptor) }

    private func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result(catching: work)) }
        }
    }

    /// Sends bytes; answers how many the server took before it closed.
    @discardableResult
    func send(_ bytes: [UInt8]) async throws -> Int {
        try await perform { [self] in
            var sent = 0
            while sent < bytes.count {
                let count = bytes[sent...].withUnsafeBytes {
                    Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count <= 0 { break }
                sent += count
            }
            return sent
        }
    }

    @discardableResult
    func send(_ text: String) async throws -> Int { try await send(Array(text.utf8)) }

    /// Says that nothing more is sent.
    func closeSending() async throws { _ = try await perform { [self] in shutdown(descriptor, Int32(SHUT_WR)) } }

    /// Reads until the text was seen, or to the end of the connection when it never comes.
    func receive(until text: String) async throws -> String {
        try await perform { [self] in
            var received: [UInt8] = []
            while !String(decoding: received, as: UTF8.self).contains(text) {
                guard let some = try next() else { break }
                received += some
            }
            return String(decoding: received, as: UTF8.self)
        }
    }

    /// Waits for the first byte and leaves it where it is.
    func peek() async throws -> String {
        try await perform { [self] in
            var byte: UInt8 = 0
            guard recv(descriptor, &byte, 1, Int32(MSG_PEEK)) == 1 else { return "" }
            return String(UnicodeScalar(byte))
        }
    }

    /// Reads to the end of the connection; answers how many bytes came.
    func drain() async throws -> Int {
        try await perform { [self] in
            var count = 0
            while let some = try next() { count += some.count }
            return count
        }
    }

    /// Waits, without reading, until the server resets the connection; `false` when it does not.
    func isCutOff() async throws -> Bool {
        try await perform { [self] in
            var wait = pollfd(fd: descriptor, events: 0, revents: 0)
            return poll(&wait, 1, seconds * 1000) > 0 && wait.revents & Int16(POLLHUP | POLLERR) != 0
        }
    }

    /// The next bytes; `nil` when the server has closed or reset the connection.
    private func next() throws -> [UInt8]? {
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0 {
            if errno == ECONNRESET { return nil }
            throw RawError(description: "nothing comes: \(String(cString: strerror(errno)))")
        }
        return count == 0 ? nil : Array(chunk[..<count])
    }

    /// Lets the process have so many descriptors; answers how many it has.
    static func raiseDescriptorLimit(to wanted: UInt) -> UInt {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        getrlimit(resource, &limit)
        if limit.rlim_cur < wanted {
            limit.rlim_cur = min(limit.rlim_max, rlim_t(wanted))
            setrlimit(resource, &limit)
            getrlimit(resource, &limit)
        }
        return UInt(limit.rlim_cur)
    }
}
