import CCurl

/// One request on its way, on the transport's thread: what libcurl's callbacks work on.
final class Transfer {
    let exchange: Exchange
    let handle: EasyHandle
    let request: TransportRequest
    /// The header fields of the last head.
    private var head: [UInt8] = []
    private var isHeadComplete = false
    /// What has come of a body that is collected.
    private var body: [UInt8] = []
    /// How much of a body in memory has been sent.
    private var sent = 0
    /// How often the request was sent: more than once when libcurl found a kept connection dead.
    private var sendings = 0
    /// Why a callback gave up.
    private var refusal: TransportFailure?

    /// An answer larger than this is not gathered in memory.
    private static let largestAnswer = 1 << 30

    init(_ request: TransportRequest, _ exchange: Exchange, handle: EasyHandle) {
        self.request = request
        self.exchange = exchange
        self.handle = handle
    }

    static func owner(of easy: UnsafeMutableRawPointer) -> Transfer? {
        var pointer: UnsafeMutableRawPointer?
        _ = tp_getinfo_ptr(easy, CURLINFO_PRIVATE, &pointer)
        return pointer.map { Unmanaged<Transfer>.fromOpaque($0).takeUnretainedValue() }
    }

    // MARK: what libcurl calls

    func receiveHeader(_ line: UnsafeRawBufferPointer) {
        // A new status line begins a new head: after 100 Continue, or a proxy's own answer.
        if line.starts(with: "HTTP/".utf8) {
            head.removeAll(keepingCapacity: true)
            isHeadComplete = false
        }
        // Trailers of a chunked body come here too, and are nobody's.
        guard !isHeadComplete else { return }
        head.append(contentsOf: line)
        guard line.count <= 2, line.first == 0x0D || line.first == 0x0A, status >= 200 else { return }
        isHeadComplete = true
        if request.isStreamed {
            exchange.deliver(
                TransportAnswer(status: status, headers: HeaderFields(bytes: head), body: [], stream: exchange))
        }
    }

    /// How many bytes were taken, or a word to libcurl.
    func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        if request.isStreamed {
            return exchange.offer(bytes) ? bytes.count : Int(CURL_WRITEFUNC_PAUSE)
        }
        if body.isEmpty, let length = contentLength, length <= Self.largestAnswer { body.reserveCapacity(length) }
        guard body.count + bytes.count <= Self.largestAnswer else {
            refusal = TransportFailure(code: .tooLarge, reason: "the answer is larger than \(Self.largestAnswer) bytes")
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }

    /// Fills a piece to send.
    func send(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        switch request.body {
        case nil: return 0
        case .bytes(let bytes):
            let count = min(buffer.count, bytes.count - sent)
            bytes.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[sent..<sent + count])) }
            sent += count
            return count
        case .source(let source):
            switch source.read(into: buffer) {
            case .bytes(let count): return count
            case .end: return 0
            case .wait: return Int(CURL_READFUNC_PAUSE)
            case .failed(let reason):
                refusal = TransportFailure(code: .cancelled, reason: reason)
                return Int(CURL_READFUNC_ABORT)
            }
        }
    }

    /// Begins the body anew, or says that it can not.
    func rewind() -> Bool {
        sent = 0
        if case .source(let source) = request.body { return source.rewind() }
        return true
    }

    /// Whether the request may be sent on the connection that stands.
    func permitSending() -> Bool {
        sendings += 1
        if sendings == 1 || request.mayBeRepeated { return true }
        refusal = TransportFailure(code: .interrupted, reason: "the connection was lost before the answer")
        return false
    }

    // MARK: the end

    /// Takes over how libcurl says that it ended.
    func complete(_ code: CURLcode) {
        if code != CURLE_OK {
            fail(refusal ?? failure(code))
        } else if request.isStreamed {
            exchange.finish(.success(()))
        } else {
            exchange.deliver(
                TransportAnswer(status: status, headers: HeaderFields(bytes: head), body: body, stream: nil))
            exchange.finish(.success(()))
        }
    }

    func fail(_ failure: TransportFailure) { exchange.finish(.failure(failure)) }

    /// Lets go of what libcurl read from; the handle is no longer in use.
    func release() {
        if case .source(let source) = request.body { source.stop() }
    }

    private var status: Int {
        var code = 0
        _ = tp_getinfo_long(handle.raw, CURLINFO_RESPONSE_CODE, &code)
        return code
    }

    /// The length of the body, if the answer tells it.
    private var contentLength: Int? {
        var length: curl_off_t = -1
        _ = tp_getinfo_off(handle.raw, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length)
        return length < 0 ? nil : Int(length)
    }

    private func failure(_ code: CURLcode) -> TransportFailure {
        let text = String(cString: handle.errorBuffer)
        let reason = text.isEmpty ? String(cString: curl_easy_strerror(code)) : text
        switch code {
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ENGINE_INITFAILED,
            CURLE_USE_SSL_FAILED, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT:
            return TransportFailure(code: .tls, reason: reason)
        case CURLE_URL_MALFORMAT: return TransportFailure(code: .badRequest, reason: reason)
        case _ where sendings == 0: return TransportFailure(code: .unreachable, reason: reason)
        case CURLE_OPERATION_TIMEDOUT: return TransportFailure(code: .timedOut, reason: reason)
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_WEIRD_SERVER_REPLY, CURLE_BAD_CONTENT_ENCODING,
            CURLE_TOO_MANY_REDIRECTS:
            return TransportFailure(code: .badAnswer, reason: "unexpected answer: " + reason)
        default: return TransportFailure(code: .interrupted, reason: reason)
        }
    }
}
