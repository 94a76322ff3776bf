import Dispatch

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A request as its bytes go on the wire.
struct RawRequest: Sendable {
    var method: String
    /// The request target, percent-encoded.
    var target: String
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]?
}

/// An answer with nothing hidden: every header in order, the body as it came.
struct RawAnswer: Sendable {
    var status: Int
    var reason: String
    var headers: [(name: String, value: String)]
    var body: [UInt8]

    /// The values of that header, joined; `nil` when it is absent.
    subscript(name: String) -> String? {
        let values = headers.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }
}

/// What is wrong with a connection or with what came over it.
struct RawError: Error, CustomStringConvertible {
    let description: String
    /// Nothing of an answer had come: the request may be sent again on a new connection.
    var isClosedEarly = false
}

/// One keep-alive HTTP/1.1 connection over a socket, so that tests see the bytes that a server sends.
///
/// Its calls block, so they are made on a queue of its own; one request at a time.
final class RawConnection: Sendable {
    private let host: String
    private let port: Int
    private let seconds: Int
    private let queue = DispatchQueue(label: "tests.connection")
    /// Used on the queue only.
    private nonisolated(unsafe) var descriptor: Int32 = -1
    private nonisolated(unsafe) var buffer: [UInt8] = []
    private nonisolated(unsafe) var position = 0

    /// - Parameter seconds: How long to wait for each piece of an answer.
    init(host: String, port: Int, seconds: Int = 60) {
        self.host = host
        self.port = port
        self.seconds = seconds
    }

    deinit { if descriptor >= 0 { Self.shut(descriptor) } }

    private static func shut(_ descriptor: Int32) {
        #if canImport(Glibc)
            _ = Glibc.close(descriptor)
        #else
            _ = Darwin.close(descriptor)
        #endif
    }

    /// Sends and waits for the whole answer. A kept connection that the server has closed meanwhile is opened anew.
    func send(_ request: RawRequest, onHeaders: @escaping @Sendable () -> Void = {}) async throws -> RawAnswer {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in
                continuation.resume(with: Result { try sendNow(request, onHeaders) })
            }
        }
    }

    private func sendNow(_ request: RawRequest, _ onHeaders: () -> Void) throws -> RawAnswer {
        let isReused = descriptor >= 0
        do {
            return try exchange(request, onHeaders)
        } catch let error as RawError where error.isClosedEarly && isReused {
            disconnect()
            return try exchange(request, onHeaders)
        } catch {
            disconnect()
            throw error
        }
    }

    private func exchange(_ request: RawRequest, _ onHeaders: () -> Void) throws -> RawAnswer {
        if descriptor < 0 { try connectNow() }
        var head = "\(request.method) \(request.target) HTTP/1.1\r\n"
        if !request.headers.contains(where: { $0.name.lowercased() == "host" }) { head += "Host: \(host):\(port)\r\n" }
        for (name, value) in request.headers { head += "\(name): \(value)\r\n" }
        if let body = request.body {
            head += "Content-Length: \(body.count)\r\n"
        } else if ["POST", "PUT", "PATCH"].contains(request.method) {
            head += "Content-Length: 0\r\n"
        }
        // A server may refuse a large body before it has all of it; its answer is still there to be read.
        let sent = write(Array((head + "\r\n").utf8) + (request.body ?? []))
        let answer = try read(isHead: request.method == "HEAD", onHeaders)
        if !sent || answer["Connection"]?.lowercased() == "close" { disconnect() }
        return answer
    }

    private func connectNow() throws {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, String(port), &hints, &list) == 0, let list else {
            throw RawError(description: "no address for \(host)")
        }
        defer { freeaddrinfo(list) }
        let opened = socket(list.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard opened >= 0, connect(opened, list.pointee.ai_addr, list.pointee.ai_addrlen) == 0 else {
            throw RawError(description: "can not connect to \(host):\(port): \(String(cString: strerror(errno)))")
        }
        var one: Int32 = 1
        setsockopt(opened, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        descriptor = opened
        buffer = []
        position = 0
    }

    private func disconnect() {
        if descriptor >= 0 { Self.shut(descriptor) }
        descriptor = -1
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            written += count
        }
        return true
    }

    /// Reads on; `false` at the end.
    private func fill() throws -> Bool {
        if position > 65536 {
            buffer.removeFirst(position)
            position = 0
        }
        var chunk = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        if count < 0 {
            let isReset = errno == ECONNRESET
            throw RawError(
                description: "no answer from \(host):\(port): \(String(cString: strerror(errno)))",
                isClosedEarly: isReset && position == buffer.count)
        }
        buffer.append(contentsOf: chunk[..<count])
        return count > 0
    }

    private func line() throws -> String {
        while true {
            if let end = buffer[position...].firstIndex(of: UInt8(ascii: "\n")) {
                var bytes = buffer[position..<end]
                position = end + 1
                if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
                return String(decoding: bytes, as: UTF8.self)
            }
            let isFresh = position == buffer.count
            guard try fill() else {
                throw RawError(description: "the server closed the connection", isClosedEarly: isFresh)
            }
        }
    }

    private func bytes(_ count: Int) throws -> ArraySlice<UInt8> {
        while buffer.count - position < count {
            guard try fill() else { throw RawError(description: "the answer ends too early") }
        }
        defer { position += count }
        return buffer[position..<position + count]
    }

    private func read(isHead: Bool, _ onHeaders: () -> Void) throws -> RawAnswer {
        var answer: RawAnswer
        repeat {
            let first = try line().split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
            guard first.count >= 2, let status = Int(first[1]) else {
                throw RawError(description: "no HTTP status line: \(first.joined(separator: " "))")
            }
            answer = RawAnswer(status: status, reason: first.count > 2 ? String(first[2]) : "", headers: [], body: [])
            while true {
                let text = try line()
                if text.isEmpty { break }
                let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { throw RawError(description: "no header: \(text)") }
                answer.headers.append((String(parts[0]), String(parts[1].drop { $0 == " " })))
            }
        } while (100..<200).contains(answer.status)
        onHeaders()
        if isHead || answer.status == 204 || answer.status == 304 { return answer }
        if answer["Transfer-Encoding"]?.lowercased() == "chunked" {
            try readChunks(into: &answer.body)
        } else if let length = answer["Content-Length"].flatMap({ Int($0) }) {
            answer.body = Array(try bytes(length))
        } else {
            while try fill() {}
            answer.body = Array(buffer[position...])
            disconnect()
        }
        return answer
    }

    private func readChunks(into body: inout [UInt8]) throws {
        while true {
            let size = try line().prefix { $0 != ";" }
            guard let count = Int(size, radix: 16) else { throw RawError(description: "no chunk size: \(size)") }
            if count == 0 {
                while try !line().isEmpty {}
                return
            }
            body.append(contentsOf: try bytes(count))
            _ = try line()
        }
    }
}
