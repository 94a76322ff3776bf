import Dispatch

@testable import CouchStore

/// Runs tasks on one thread of its own.
final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "own thread")
    private let mayRead: Bool

    init(mayRead: Bool) { self.mayRead = mayRead }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { [self] in
            let wasAllowed = ReadingThread.isCurrent
            ReadingThread.declare(mayRead)
            job.runSynchronously(on: asUnownedTaskExecutor())
            ReadingThread.declare(wasAllowed)
        }
    }
}
