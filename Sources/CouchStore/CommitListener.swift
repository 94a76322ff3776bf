import Synchronization

/// Who hears of each commit of a database: nobody, until there is somebody.
final class CommitListener: Sendable {
    /// The function stands in a type of its own: one that is kept in a generic box as it is gets wrapped anew each time that
    /// the box is opened, until a call is as deep as commits were told.
    private struct Listener {
        let hear: @Sendable (Int) -> Void
    }
    /// Protects who listens.
    private let listener = Mutex<Listener?>(nil)

    /// From now on this one hears, and no other.
    func set(_ hear: @escaping @Sendable (Int) -> Void) {
        let new = Listener(hear: hear)
        listener.withLock { $0 = new }
    }

    /// Tells a sequence, on the caller's thread.
    func tell(_ sequence: Int) { listener.withLock { $0 }?.hear(sequence) }
}
