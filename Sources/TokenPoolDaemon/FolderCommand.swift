import ArgumentParser
import CouchStore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

// What the commands over a data folder have in common.
extension ParsableCommand {
    /// Writes a line of the answer to standard output.
    func answer(_ line: String) { put(line + "\n", on: STDOUT_FILENO) }

    /// Works with a folder; what is wrong with it is one line on standard error, and exit status 3.
    func onFolder(_ body: () throws -> Void) throws {
        do { try body() } catch let error as StoreError {
            say(error.reason)
            throw ExitCode(3)
        }
    }
}
