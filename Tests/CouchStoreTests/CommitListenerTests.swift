import Synchronization
import Testing

@testable import CouchStore

@Suite("Who hears of commits")
struct CommitListenerTests {
    @Test("hears of the last of many as directly as of the first")
    func flat() {
        let listener = CommitListener()
        let last = Mutex(0)
        listener.tell(0)
        listener.set { sequence in last.withLock { $0 = sequence } }
        // Were each call one deeper than that before, no stack would hold the last.
        for sequence in 1...400_000 { listener.tell(sequence) }
        #expect(last.withLock { $0 } == 400_000)
    }
}
