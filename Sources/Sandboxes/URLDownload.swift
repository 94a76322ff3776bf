import CCurl
import Glibc

/// Fetches archives over HTTP: redirects are followed, TLS is verified, `http_proxy` and `~/.netrc` count.
///
/// These are other people's servers, so the pool's own credentials are never sent.
enum URLDownload {
    /// What the server says of the present content (`ETag`, `Last-Modified`, length), by which an unchanged archive is
    /// known again; something new each time when it says nothing.
    static func state(of url: String) async throws -> String {
        try await onOwnThread { flag in
            let transfer = try Transfer(url, target: nil, flag)
            transfer.set(CURLOPT_NOBODY, 1)
            try transfer.run()
            let fields = transfer.headers.filter { ["etag", "last-modified", "content-length"].contains($0.name) }
            guard fields.contains(where: { $0.name != "content-length" }) else {
                return "\(UInt64.random(in: 0 ... .max))"
            }
            return fields.map { "\($0.name) \($0.value)" }.joined(separator: "\n")
        }
    }

    static func download(_ url: String, to path: String) async throws {
        try await onOwnThread { flag in
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else { throw systemError("write", path) }
            try Transfer(url, target: OpenFile(descriptor: descriptor, path: path), flag).run()
        }
    }

    /// One transfer, on one thread.
    private final class Transfer {
        private let handle: OpaquePointer?
        private let url: String
        private let target: OpenFile?
        private let cancellation: CancellationFlag
        private(set) var headers: [(name: String, value: String)] = []
        private var writeError: CInt = 0

        init(_ url: String, target: OpenFile?, _ cancellation: CancellationFlag) throws {
            self.url = url
            self.target = target
            self.cancellation = cancellation
            guard let curl = curl_easy_init() else {
                throw SandboxError(.failed, "no memory to fetch \(url.withoutUserInformation)")
            }
            handle = OpaquePointer(curl)
        }

        deinit { curl_easy_cleanup(raw) }

        private var raw: UnsafeMutableRawPointer? { handle.map { UnsafeMutableRawPointer($0) } }

        func set(_ option: CURLoption, _ value: Int) { _ = tp_setopt_long(raw, option, value) }

        func run() throws {
            _ = url.withCString { tp_setopt_str(raw, CURLOPT_URL, $0) }
            _ = tp_setopt_str(raw, CURLOPT_USERAGENT, "tokenpool")
            _ = tp_setopt_str(raw, CURLOPT_PROTOCOLS_STR, "http,https")
            _ = tp_setopt_str(raw, CURLOPT_REDIR_PROTOCOLS_STR, "http,https")
            set(CURLOPT_FOLLOWLOCATION, 1)
            set(CURLOPT_MAXREDIRS, 10)
            set(CURLOPT_FAILONERROR, 1)
            set(CURLOPT_NOSIGNAL, 1)
            set(CURLOPT_NETRC, 1)  // CURL_NETRC_OPTIONAL
            set(CURLOPT_CONNECTTIMEOUT, 20)
            // Given up when less than a byte a second came for a minute.
            set(CURLOPT_LOW_SPEED_LIMIT, 1)
            set(CURLOPT_LOW_SPEED_TIME, 60)
            let me = Unmanaged.passUnretained(self).toOpaque()
            _ = tp_setopt_ptr(raw, CURLOPT_WRITEDATA, me)
            _ = tp_setopt_data_cb(raw, CURLOPT_WRITEFUNCTION) { bytes, size, count, me in
                guard let bytes, let me else { return 0 }
                return Unmanaged<Transfer>.fromOpaque(me).takeUnretainedValue().write(bytes, size * count)
            }
            _ = tp_setopt_ptr(raw, CURLOPT_HEADERDATA, me)
            _ = tp_setopt_data_cb(raw, CURLOPT_HEADERFUNCTION) { bytes, size, count, me in
                guard let bytes, let me else { return 0 }
                Unmanaged<Transfer>.fromOpaque(me).takeUnretainedValue().header(bytes, size * count)
                return size * count
            }
            let result = curl_easy_perform(raw)
            try cancellation.check()
            if writeError != 0 {
                errno = writeError
                throw systemError("write", target?.path ?? "")
            }
            guard result == CURLE_OK else {
                var status = 0
                _ = tp_getinfo_long(raw, CURLINFO_RESPONSE_CODE, &status)
                let reason =
                    result == CURLE_HTTP_RETURNED_ERROR
                    ? "the server answers \(status)" : String(cString: curl_easy_strerror(result))
                throw SandboxError(
                    status == 404 || status == 410 ? .missing : .failed,
                    "could not fetch the sandbox \(url.withoutUserInformation): \(reason)")
            }
        }

        private func write(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) -> Int {
            guard let target, !cancellation.isCancelled else { return target == nil ? count : 0 }
            var done = 0
            while done < count {
                let written = Glibc.write(target.descriptor, bytes + done, count - done)
                if written < 0 && errno == EINTR { continue }
                guard written > 0 else {
                    writeError = errno
                    return 0
                }
                done += written
            }
            return count
        }

        private func header(_ bytes: UnsafeMutablePointer<CChar>, _ count: Int) {
            let line = UnsafeBufferPointer(start: bytes, count: count).map { UInt8(bitPattern: $0) }.shown
            // A status line begins the next answer of a chain of redirects.
            if line.hasPrefix("HTTP/") { headers = [] }
            guard let colon = line.firstIndex(of: ":") else { return }
            let value = line[line.index(after: colon)...].drop { $0 == " " }.filter { !$0.isNewline }
            headers.append((line[..<colon].lowercased(), value))
        }
    }
}
