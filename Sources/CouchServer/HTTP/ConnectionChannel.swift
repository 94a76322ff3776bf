import CouchStore
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTPTypes

/// A connection whose requests are answered on the thread that reads and writes its socket.
///
/// A short request then costs no change of thread: it reads the database in place (``ReadingThread``). Long work (a large
/// body, an answer that is written while it is made) moves to the common pool; see ``CouchService`` and ``CouchResponder``.
struct ConnectionChannel: ServerChildChannel {
    let http: HTTP1Channel
    /// Answers what needs no stream of a body; see ``ConnectionDesk``.
    let responder: ConnectionDesk.Responder
    /// `nil`: without TLS.
    let security: TransportSecurity?

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        ReadingThread.declare()
        do { try security?.secure(channel) } catch { return channel.eventLoop.makeFailedFuture(error) }
        let responder = responder
        return http.setup(channel: channel, logger: logger).flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let counter = try pipeline.handler(type: HTTPConnectionStateHandler.self)
            let desk = ConnectionDesk(
                responder: responder, executor: LoopExecutor(loop: channel.eventLoop), logger: logger)
            try pipeline.addHandler(desk, position: .after(counter))
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async {
        await withTaskExecutorPreference(LoopExecutor(loop: value.channel.eventLoop)) {
            await http.handle(value: value, logger: logger)
        }
    }
}

/// Runs tasks on the thread of an event loop.
private final class LoopExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
