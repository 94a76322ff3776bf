import CCurl

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Moves bytes: one thread with one libcurl multi handle, which holds the connections.
///
/// The thread sleeps in ``SocketWatch`` until a connection or a command needs it, and ends with ``shutdown()`` or when
/// the transport is dropped. Requests may come from any task.
final class CouchTransport: Sendable {
    private let mailbox: Mailbox
    /// Runs tasks on the thread.
    let executor: TransportExecutor

    private static let globalInit: Void = {
        guard tp_global_init() == CURLE_OK else { fatalError("libcurl could not be initialised") }
    }()

    init(_ settings: TransportSettings) {
        _ = Self.globalInit
        guard let multi = curl_multi_init() else { fatalError("out of memory") }
        let bell = Bell()
        mailbox = Mailbox(bell: bell)
        executor = TransportExecutor(mailbox: mailbox)
        let loop = Unmanaged.passRetained(
            TransportLoop(multi: multi, bell: bell, settings: settings, mailbox: mailbox, executor: executor))
        if let error = Self.startThread(loop.toOpaque()) {
            loop.takeRetainedValue().abandon("could not start a thread: \(String(cString: strerror(error)))")
        }
    }

    deinit { mailbox.post(.shutDown) }

    /// Sends a request. Cancelling the task ends the transfer.
    ///
    /// - Throws: ``TransportFailure``.
    func perform(_ request: TransportRequest) async throws -> TransportAnswer {
        let exchange = Exchange()
        return try await withTaskCancellationHandler {
            try await exchange.answer {
                if !mailbox.post(.start(request, exchange)) { exchange.finish(.failure(.shutDown)) }
            }
        } onCancel: {
            cancel(exchange)
        }
    }

    /// Gives up an exchange. What has ended stays as it is.
    func cancel(_ exchange: Exchange) {
        exchange.cancel()
        mailbox.post(.cancel(exchange))
    }

    /// Goes on reading a body that was too fast for its reader.
    func resume(_ exchange: Exchange) { mailbox.post(.resume(exchange)) }

    /// Ends all requests and the thread, and waits for that.
    func shutdown() async {
        mailbox.post(.shutDown)
        await mailbox.waitForEnd()
    }

    /// Starts the detached thread that owns the loop; answers an error number.
    private static func startThread(_ loop: UnsafeMutableRawPointer) -> Int32? {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        #if canImport(Darwin)
            var thread: pthread_t?
            let error = pthread_create(&thread, &attributes, { runLoop($0) }, loop)
        #else
            var thread = pthread_t()
            let error = pthread_create(&thread, &attributes, { runLoop($0!) }, loop)
        #endif
        return error == 0 ? nil : error
    }
}

private func runLoop(_ pointer: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    // Signals are for the program's own threads; a connection that is cut must not raise SIGPIPE.
    var signals = sigset_t()
    sigfillset(&signals)
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    Unmanaged<TransportLoop>.fromOpaque(pointer).takeRetainedValue().run()
    return nil
}
