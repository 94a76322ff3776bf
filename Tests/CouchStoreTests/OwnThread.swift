import Dispatch
import Foundation
import Synchronization

@testable import CouchStore

/// Runs tasks on one thread, always the same.
final class OwnThread: TaskExecutor {
    /// What the thread and the executor share. A `nil` ends the thread.
    private final class Work: Sendable {
        // Protects what is to be done.
        let jobs = Mutex<[(job: UnownedJob, executor: OwnThread)?]>([])
        let arrival = DispatchSemaphore(value: 0)

        func add(_ entry: (job: UnownedJob, executor: OwnThread)?) {
            jobs.withLock { $0.append(entry) }
            arrival.signal()
        }
    }
    private let work = Work()

    init(mayRead: Bool) {
        Thread.detachNewThread { [work] in
            ReadingThread.declare(mayRead)
            while true {
                work.arrival.wait()
                guard let (job, executor) = work.jobs.withLock({ $0.removeFirst() }) else { return }
                job.runSynchronously(on: executor.asUnownedTaskExecutor())
            }
        }
    }

    deinit { work.add(nil) }

    func enqueue(_ job: consuming ExecutorJob) { work.add((UnownedJob(job), self)) }
}
