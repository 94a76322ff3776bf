import Dispatch
import Testing

@testable import CouchStore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where short reads are made.
@Suite("Short reads", .timeLimit(.minutes(1)))
struct ReadQueueTests {
    @Test("are made on the asking thread when it may wait for a disk")
    func inPlace() async throws {
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test")
            let thread = OwnThread(mayRead: true)
            try await withTaskExecutorPreference(thread) { () async throws in
                let (before, reading) = (currentThread(), try await queue.perform { _ in currentThread() })
                #expect(reading == before)
                #expect(currentThread() == before)
            }
            try queue.close()
        }
    }

    @Test("never hold up a thread that was not declared")
    func elsewhere() async throws {
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test")
            let thread = OwnThread(mayRead: false)
            try await withTaskExecutorPreference(thread) { () async throws in
                let (before, reading) = (currentThread(), try await queue.perform { _ in currentThread() })
                #expect(reading != before)
            }
            try queue.close()
        }
    }

    @Test("stay in place when only the thread was slow")
    func slowThread() async throws {
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test", patience: .zero)
            try await withTaskExecutorPreference(OwnThread(mayRead: true)) { () async throws in
                let own = currentThread()
                for _ in 0..<5 { #expect(try await queue.perform { _ in currentThread() } == own) }
            }
            try queue.close()
        }
    }

    @Test("go to the readers after one waited long, and come back")
    func detour() async throws {
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test", patience: .zero)
            let thread = OwnThread(mayRead: true)
            try await withTaskExecutorPreference(thread) { () async throws in
                let own = currentThread()
                let first = try await queue.perform { _ in
                    let waits = ReadingThread.waits
                    while ReadingThread.waits == waits {
                        let word = DispatchSemaphore(value: 0)
                        DispatchQueue.global().async { word.signal() }
                        word.wait()
                    }
                    return currentThread()
                }
                #expect(first == own)
                for _ in 0..<ReadQueue.detour {
                    #expect(try await queue.perform { _ in currentThread() } != own)
                }
                // The last readers may not have put their connections back yet. Never: the time limit ends it.
                while try await queue.perform({ _ in currentThread() }) != own { try Task.checkCancellation() }
            }
            try queue.close()
        }
    }

    @Test("tell their own failures to who asked, and go on")
    func failure() async throws {
        struct Fault: Error {}
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test")
            let thread = OwnThread(mayRead: true)
            try await withTaskExecutorPreference(thread) { () async throws in
                for _ in 0..<5 {
                    await #expect(throws: Fault.self) { try await queue.perform { _ -> Int in throw Fault() } }
                }
                #expect(try await queue.perform { try SQLStatement($0, "SELECT 7").single() } == 7)
            }
            try queue.close()
            await #expect(throws: StoreError.self) { try await queue.perform { _ in 1 } }
        }
    }

    @Test("of many askers are all answered, in place and by the readers")
    func many() async throws {
        try await withDatabaseFile { path in
            let queue = try ReadQueue(path: path, label: "test")
            let threads = (0..<4).map { _ in OwnThread(mayRead: true) }
            let sum = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<400 {
                    let read = { @Sendable in try await queue.perform { try SQLStatement($0, "SELECT 1").single() } }
                    if number % 2 == 0 {
                        group.addTask(executorPreference: threads[number % 4]) { try await read() }
                    } else {
                        group.addTask { try await read() }
                    }
                }
                return try await group.reduce(0, +)
            }
            #expect(sum == 400)
            try queue.close()
        }
    }

    private func withDatabaseFile(_ body: (String) async throws -> Void) async throws {
        try await TemporaryStore.withDatabase { _, temporary in
            try await body(DataFolderFiles(folder: temporary.folder).database("db"))
        }
    }
}

extension SQLStatement {
    fileprivate func single() throws -> Int {
        defer { reset() }
        return try step() ? integer(0) : -1
    }
}

private func currentThread() -> UInt { UInt(pthread_self()) }
