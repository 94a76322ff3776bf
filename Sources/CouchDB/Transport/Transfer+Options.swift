import CCurl

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension Transfer {
    /// A body in memory up to here is given to libcurl whole, which sends it in one piece with the head; a larger one is
    /// read by it in pieces.
    private static let wholeBody = 64 * 1024
    /// Above this a file or stream is announced with `Expect: 100-continue`, so that a refusal comes before the bytes.
    private static let announcedBody = 1 << 20

    /// Tells libcurl about this request, as far as the handle is not set for it already.
    func configure(_ plan: RequestPlan?, _ settings: TransportSettings) -> TransportFailure? {
        let this = Unmanaged.passUnretained(self).toOpaque()
        handle.errorBuffer[0] = 0
        if plan == nil || handle.plan != plan {
            handle.reset()
            if let failure = configurePlan(settings, this) { return failure }
            handle.plan = plan
        }
        set(CURLOPT_URL, request.url)
        set(CURLOPT_PRIVATE, this)
        set(CURLOPT_HEADERDATA, this)
        set(CURLOPT_WRITEDATA, this)
        set(CURLOPT_PREREQDATA, this)
        return nil
    }

    /// What requests of one plan have in common; see ``RequestPlan``.
    private func configurePlan(_ settings: TransportSettings, _ this: UnsafeMutableRawPointer) -> TransportFailure? {
        let raw = handle.raw
        set(CURLOPT_ERRORBUFFER, handle.errorBuffer)
        set(CURLOPT_PATH_AS_IS, 1)
        set(CURLOPT_NOSIGNAL, 1)
        set(CURLOPT_TCP_NODELAY, 1)
        set(CURLOPT_TCP_KEEPALIVE, 1)
        set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        if request.isStreamed { set(CURLOPT_BUFFERSIZE, 128 * 1024) }
        setLimits(settings)
        set(settings)
        _ = tp_setopt_data_cb(raw, CURLOPT_HEADERFUNCTION, receivedHeader)
        _ = tp_setopt_data_cb(raw, CURLOPT_WRITEFUNCTION, received)
        _ = tp_setopt_prereq_cb(raw, readyToSend)
        _ = tp_setopt_sockopt_cb(raw, newSocket)
        setBody(this)
        return setHeaders()
    }

    private func setLimits(_ settings: TransportSettings) {
        set(CURLOPT_CONNECTTIMEOUT_MS, max(1, settings.connect.milliseconds))
        set(CURLOPT_LOW_SPEED_LIMIT, 1)
        set(CURLOPT_LOW_SPEED_TIME, max(1, (request.stall.milliseconds + 999) / 1000))
        if let whole = request.whole { set(CURLOPT_TIMEOUT_MS, max(1, whole.milliseconds)) }
    }

    private func set(_ settings: TransportSettings) {
        if let proxy = settings.proxy { set(CURLOPT_PROXY, proxy) }
        if let socket = settings.unixSocket { set(CURLOPT_UNIX_SOCKET_PATH, socket) }
        guard request.url.hasPrefix("https") else { return }
        if !settings.isVerified {
            set(CURLOPT_SSL_VERIFYPEER, 0)
            set(CURLOPT_SSL_VERIFYHOST, 0)
        }
        let tls = settings.tls
        if let file = tls.authorityFile { set(CURLOPT_CAINFO, file) }
        if let folder = tls.authorityFolder { set(CURLOPT_CAPATH, folder) }
        if let file = tls.certificateFile { set(CURLOPT_SSLCERT, file) }
        if let file = tls.keyFile ?? tls.certificateFile { set(CURLOPT_SSLKEY, file) }
        if let password = tls.keyPassword { set(CURLOPT_KEYPASSWD, password.value) }
    }

    private func setBody(_ this: UnsafeMutableRawPointer) {
        switch request.body {
        case nil:
            if request.method == "HEAD" {
                set(CURLOPT_NOBODY, 1)
            } else if request.method != "GET" {
                set(CURLOPT_CUSTOMREQUEST, request.method)
            }
        case .bytes(let bytes) where bytes.count <= Self.wholeBody:
            set(CURLOPT_POST, 1)
            _ = tp_setopt_off(handle.raw, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(bytes.count))
            bytes.withUnsafeBytes { buffer in
                // libcurl copies that many bytes. An empty array may have no address, and no address means no body.
                var nothing: UInt8 = 0
                if let start = buffer.baseAddress {
                    set(CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: start))
                } else {
                    set(CURLOPT_COPYPOSTFIELDS, &nothing)
                }
            }
            if request.method != "POST" { set(CURLOPT_CUSTOMREQUEST, request.method) }
        case .bytes(let bytes): setUpload(length: bytes.count, this)
        case .source(let source): setUpload(length: source.length, this)
        }
    }

    private func setUpload(length: Int?, _ this: UnsafeMutableRawPointer) {
        set(CURLOPT_UPLOAD, 1)
        set(CURLOPT_CUSTOMREQUEST, request.method)
        _ = tp_setopt_off(handle.raw, CURLOPT_INFILESIZE_LARGE, curl_off_t(length ?? -1))
        set(CURLOPT_UPLOAD_BUFFERSIZE, 256 * 1024)
        _ = tp_setopt_data_cb(handle.raw, CURLOPT_READFUNCTION, sending)
        set(CURLOPT_READDATA, this)
        _ = tp_setopt_seek_cb(handle.raw, rewinding)
        set(CURLOPT_SEEKDATA, this)
    }

    private func setHeaders() -> TransportFailure? {
        var list: UnsafeMutablePointer<curl_slist>?
        var hasContentType = false
        for (name, value) in request.headers {
            guard !value.utf8.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }),
                !name.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: ":") }), !name.isEmpty
            else {
                curl_slist_free_all(list)
                return TransportFailure(code: .badRequest, reason: "the header field \"\(name)\" can not be sent")
            }
            if name.isSameFieldName(as: "content-type") { hasContentType = true }
            // libcurl takes a field that ends in a semicolon for one without a value.
            list = curl_slist_append(list, value.isEmpty ? name + ";" : name + ": " + value)
        }
        if request.body != nil {
            // Otherwise libcurl says that it is a form.
            if !hasContentType { list = curl_slist_append(list, "Content-Type:") }
            if !isAnnounced { list = curl_slist_append(list, "Expect:") }
        }
        handle.keep(list)
        set(CURLOPT_HTTPHEADER, UnsafeMutableRawPointer(list))
        return nil
    }

    private var isAnnounced: Bool {
        guard case .source(let source) = request.body else { return false }
        return source.length.map { $0 > Self.announcedBody } ?? false
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = tp_setopt_long(handle.raw, option, value) }
    private func set(_ option: CURLoption, _ value: String) { _ = tp_setopt_str(handle.raw, option, value) }
    private func set(_ option: CURLoption, _ value: UnsafeMutableRawPointer?) {
        _ = tp_setopt_ptr(handle.raw, option, value)
    }
}

// What libcurl calls, always on the transport's thread; the last argument is the transfer, which the loop keeps alive.

private func transfer(_ pointer: UnsafeMutableRawPointer) -> Transfer {
    Unmanaged<Transfer>.fromOpaque(pointer).takeUnretainedValue()
}

private let receivedHeader: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    transfer($3!).receiveHeader(UnsafeRawBufferPointer(start: $0, count: $1 * $2))
    return $1 * $2
}

private let received: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    transfer($3!).receive(UnsafeRawBufferPointer(start: $0, count: $1 * $2))
}

private let sending: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    transfer($3!).send(into: UnsafeMutableRawBufferPointer(start: $0, count: $1 * $2))
}

private let rewinding: @convention(c) (UnsafeMutableRawPointer?, curl_off_t, Int32) -> Int32 = {
    // libcurl only ever asks for the beginning.
    $1 == 0 && $2 == 0 && transfer($0!).rewind() ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
}

private let readyToSend:
    @convention(c) (
        UnsafeMutableRawPointer?, UnsafeMutablePointer<CChar>?, UnsafeMutablePointer<CChar>?, Int32, Int32
    ) -> Int32 = { this, _, _, _, _ in
        transfer(this!).permitSending() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
    }

private let newSocket: @convention(c) (UnsafeMutableRawPointer?, curl_socket_t, curlsocktype) -> Int32 = {
    _, socket, _ in
    // Programs that the caller starts must not inherit connections; libcurl itself does not see to it everywhere.
    _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
    return CURL_SOCKOPT_OK
}
