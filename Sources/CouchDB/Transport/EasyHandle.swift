import CCurl

/// A libcurl easy handle with the buffer for its messages.
final class EasyHandle {
    let raw: UnsafeMutableRawPointer
    let errorBuffer = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    /// What it is set for besides the address; `nil` when it was reset.
    var plan: RequestPlan?
    /// The header fields that libcurl was told.
    private var headers: UnsafeMutablePointer<curl_slist>?

    init() {
        guard let handle = curl_easy_init() else { fatalError("out of memory") }
        raw = handle
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    /// Makes it as if it were new, but for what libcurl remembers of connections.
    func reset() {
        curl_easy_reset(raw)
        keep(nil)
        plan = nil
    }

    /// Keeps a list for as long as libcurl needs it, and frees the one before.
    func keep(_ list: UnsafeMutablePointer<curl_slist>?) {
        curl_slist_free_all(headers)
        headers = list
    }

    deinit {
        curl_easy_cleanup(raw)
        keep(nil)
        errorBuffer.deallocate()
    }
}

/// All that libcurl is told of a request besides its address. Requests of one plan need not tell it again.
struct RequestPlan: Equatable {
    private let headers: [(String, String)]
    private let isStreamed: Bool
    private let stall: Duration
    private let whole: Duration?

    /// `nil` for a request with a body of its own or an unusual method.
    init?(_ request: TransportRequest) {
        guard request.method == "GET", request.body == nil else { return nil }
        headers = request.headers
        isStreamed = request.isStreamed
        stall = request.stall
        whole = request.whole
    }

    static func == (left: Self, right: Self) -> Bool {
        left.isStreamed == right.isStreamed && left.stall == right.stall && left.whole == right.whole
            && left.headers.elementsEqual(right.headers, by: ==)
    }
}
