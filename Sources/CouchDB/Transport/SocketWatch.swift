import CCurl

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What libcurl waits for: its sockets, and a time at which it wants to be called. The thread sleeps here.
///
/// libcurl hears only of the sockets on which something happened; asked for all of its transfers at each turn it would look at every
/// socket by a system call of its own. Everything here is touched by the transport's thread alone.
final class SocketWatch {
    private let multi: UnsafeMutableRawPointer
    private let bell: Bell
    /// The bell comes first, then the sockets.
    private var waits: [pollfd]
    private var places: [curl_socket_t: Int] = [:]
    private var deadline: ContinuousClock.Instant?

    init(multi: UnsafeMutableRawPointer, bell: Bell) {
        self.multi = multi
        self.bell = bell
        waits = [pollfd(fd: bell.reading, events: Int16(POLLIN), revents: 0)]
        _ = tp_multi_setopt_watch(multi, socketChanged, timerChanged, Unmanaged.passUnretained(self).toOpaque())
    }

    /// Sleeps until the bell rings, a socket is ready or libcurl's time has come, or so many milliseconds.
    ///
    /// - Returns: Whether one of the descriptors is ready.
    func wait(milliseconds: Int32) -> Bool {
        var limit = milliseconds
        if let deadline, limit != 0 {
            let rest = deadline - .now
            // Rounded up: before its time libcurl would do nothing.
            limit = rest <= .zero ? 0 : Int32(clamping: min((rest + .microseconds(999)).milliseconds, Int(limit)))
        }
        let isReady = waits.withUnsafeMutableBufferPointer { poll($0.baseAddress, nfds_t($0.count), limit) > 0 }
        if isReady && waits[0].revents != 0 { bell.silence() }
        return isReady
    }

    /// Lets libcurl act on what is ready and on what is due.
    func act() {
        var running: Int32 = 0
        // Sockets come and go meanwhile: what is ready is remembered first.
        var ready: [(socket: curl_socket_t, events: Int32)] = []
        for index in 1..<waits.count where waits[index].revents != 0 {
            let found = Int32(waits[index].revents)
            var events: Int32 = 0
            if found & Int32(POLLIN | POLLHUP) != 0 { events |= CURL_CSELECT_IN }
            if found & Int32(POLLOUT) != 0 { events |= CURL_CSELECT_OUT }
            if found & Int32(POLLERR | POLLNVAL) != 0 { events |= CURL_CSELECT_ERR }
            waits[index].revents = 0
            ready.append((waits[index].fd, events))
        }
        for (socket, events) in ready { curl_multi_socket_action(multi, socket, events, &running) }
        guard let due = deadline, due <= .now else { return }
        deadline = nil
        curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &running)
    }

    fileprivate func watch(_ socket: curl_socket_t, _ wanted: Int32) {
        if wanted == CURL_POLL_REMOVE {
            guard let place = places.removeValue(forKey: socket) else { return }
            let last = waits.removeLast()
            if place < waits.count {
                waits[place] = last
                places[last.fd] = place
            }
            return
        }
        var events: Int32 = 0
        if wanted & CURL_POLL_IN != 0 { events |= Int32(POLLIN) }
        if wanted & CURL_POLL_OUT != 0 { events |= Int32(POLLOUT) }
        if let place = places[socket] {
            waits[place].events = Int16(events)
        } else {
            places[socket] = waits.count
            waits.append(pollfd(fd: socket, events: Int16(events), revents: 0))
        }
    }

    fileprivate func call(after milliseconds: Int) {
        deadline = milliseconds < 0 ? nil : .now + .milliseconds(milliseconds)
    }
}

private let socketChanged:
    @convention(c) (
        UnsafeMutableRawPointer?, curl_socket_t, Int32, UnsafeMutableRawPointer?, UnsafeMutableRawPointer?
    ) -> Int32 = { _, socket, wanted, watch, _ in
        Unmanaged<SocketWatch>.fromOpaque(watch!).takeUnretainedValue().watch(socket, wanted)
        return 0
    }

private let timerChanged: @convention(c) (UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?) -> Int32 = {
    _, milliseconds, watch in
    Unmanaged<SocketWatch>.fromOpaque(watch!).takeUnretainedValue().call(after: milliseconds)
    return 0
}

/// Wakes the transport's thread out of its sleep: a pipe to itself.
final class Bell: Sendable {
    let reading: Int32
    private let writing: Int32

    init() {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { fatalError("no pipe: \(String(cString: strerror(errno)))") }
        for end in ends {
            // Programs that the caller starts must not inherit it, and a full pipe has rung already.
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (reading, writing) = (ends[0], ends[1])
    }

    deinit {
        close(reading)
        close(writing)
    }

    func ring() {
        var stroke: UInt8 = 0
        _ = write(writing, &stroke, 1)
    }

    /// Takes what was rung.
    func silence() {
        withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { strokes in
            while read(reading, strokes.baseAddress, strokes.count) == strokes.count {}
        }
    }
}
