import Dispatch

/// Runs tasks on the transport's thread, between the transfers.
final class TransportExecutor: TaskExecutor {
    private let mailbox: Mailbox

    init(mailbox: Mailbox) { self.mailbox = mailbox }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if !mailbox.post(.run(job)) { runElsewhere(job) }
    }

    /// For the thread itself.
    func run(_ job: UnownedJob) { job.runSynchronously(on: asUnownedTaskExecutor()) }

    /// For what is left of tasks when the thread has gone: they must come to their ends.
    func runElsewhere(_ job: UnownedJob) { DispatchQueue.global().async { self.run(job) } }
}
