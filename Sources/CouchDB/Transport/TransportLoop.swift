import CCurl

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the transport's thread does. Everything here is touched by that thread alone.
final class TransportLoop {
    private let multi: UnsafeMutableRawPointer
    private let settings: TransportSettings
    private let mailbox: Mailbox
    private let executor: TransportExecutor
    private let watch: SocketWatch
    private var transfers: [ObjectIdentifier: Transfer] = [:]
    /// Handles that have done their work and wait for more.
    private var idle: [EasyHandle] = []
    private var habit = AnswerHabit()

    init(
        multi: UnsafeMutableRawPointer, bell: Bell, settings: TransportSettings, mailbox: Mailbox,
        executor: TransportExecutor
    ) {
        self.multi = multi
        watch = SocketWatch(multi: multi, bell: bell)
        self.settings = settings
        self.mailbox = mailbox
        self.executor = executor
        let limit = settings.maxConnections
        _ = tp_multi_setopt_long(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, limit)
        _ = tp_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, limit)
    }

    /// Works until it is shut down.
    func run() {
        var isRunning = true
        while isRunning {
            for command in mailbox.take() where !handle(command) { isRunning = false }
            // What the tasks of this thread asked for just now is begun in the same turn.
            for command in mailbox.take() where !handle(command) { isRunning = false }
            watch.act()
            collect()
            if isRunning { wait() }
        }
        end(.shutDown)
    }

    /// Waits for a connection or a command: awake when that was soon there of late, else asleep until libcurl's next time-out.
    private func wait() {
        let start = ContinuousClock.now
        if habit.isQuick {
            var now = start
            var hasRoom = true
            while hasRoom && now - start < AnswerHabit.window {
                if watch.wait(milliseconds: 0) || mailbox.hasCommands {
                    habit.met()
                    return
                }
                let before = ContinuousClock.now
                sched_yield()
                now = .now
                hasRoom = now - before < AnswerHabit.longestTurn
            }
            if hasRoom { habit.missed() } else { habit.gaveWay() }
        }
        guard mailbox.fallAsleep() else { return }
        _ = watch.wait(milliseconds: 600_000)
        habit.slept(ContinuousClock.now - start)
    }

    /// Ends without having run.
    func abandon(_ reason: String) { end(TransportFailure(code: .unreachable, reason: reason)) }

    /// `false`: it is to end.
    private func handle(_ command: TransportCommand) -> Bool {
        switch command {
        case .start(let request, let exchange): start(request, exchange)
        case .cancel(let exchange):
            if let transfer = remove(exchange) { transfer.fail(.cancelled) }
        case .resume(let exchange):
            if let transfer = transfers[ObjectIdentifier(exchange)] { curl_easy_pause(transfer.handle.raw, 0) }
        case .run(let job): executor.run(job)
        case .shutDown: return false
        }
        return true
    }

    private func start(_ request: TransportRequest, _ exchange: Exchange) {
        guard !exchange.isCancelled else {
            exchange.finish(.failure(.cancelled))
            return
        }
        // One that was used for the same kind of request is ready for it.
        let plan = RequestPlan(request)
        let alike = plan.flatMap { plan in idle.lastIndex { $0.plan == plan } }
        let handle = alike.map { idle.remove(at: $0) } ?? idle.popLast() ?? EasyHandle()
        let transfer = Transfer(request, exchange, handle: handle)
        if let failure = transfer.configure(plan, settings) {
            transfer.fail(failure)
            recycle(handle)
            return
        }
        transfers[ObjectIdentifier(exchange)] = transfer
        if case .source(let source) = request.body {
            source.start { [mailbox] in mailbox.post(.resume(exchange)) }
        }
        let code = curl_multi_add_handle(multi, transfer.handle.raw)
        if code != CURLM_OK, let transfer = remove(exchange) {
            transfer.fail(TransportFailure(code: .unreachable, reason: String(cString: curl_multi_strerror(code))))
        }
    }

    /// Ends the transfers that libcurl has finished.
    private func collect() {
        var rest: Int32 = 0
        while let message = curl_multi_info_read(multi, &rest) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle else { continue }
            let code = message.pointee.data.result
            guard let transfer = Transfer.owner(of: easy) else { continue }
            transfer.complete(code)
            _ = remove(transfer.exchange)
        }
    }

    /// Takes a transfer out, which cuts its connection if it is not finished.
    private func remove(_ exchange: Exchange) -> Transfer? {
        guard let transfer = transfers.removeValue(forKey: ObjectIdentifier(exchange)) else { return nil }
        curl_multi_remove_handle(multi, transfer.handle.raw)
        transfer.release()
        recycle(transfer.handle)
        return transfer
    }

    private func recycle(_ handle: EasyHandle) {
        // What is set for one request only is not kept.
        if handle.plan == nil { handle.reset() }
        if idle.count < settings.maxConnections { idle.append(handle) }
    }

    private func end(_ failure: TransportFailure) {
        for transfer in Array(transfers.values) {
            _ = remove(transfer.exchange)
            transfer.fail(failure)
        }
        idle = []
        let (commands, waiters) = mailbox.close()
        curl_multi_cleanup(multi)
        for command in commands {
            switch command {
            case .start(_, let exchange): exchange.finish(.failure(failure))
            case .run(let job): executor.runElsewhere(job)
            case .cancel, .resume, .shutDown: break
            }
        }
        for waiter in waiters { waiter.resume() }
    }
}
