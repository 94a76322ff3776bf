import CouchDocument
import Testing

@testable import Replication

@Suite("Checkpoints of replications")
struct CheckpointTests {
    private func entry(_ session: String, _ sequence: String) -> JSON {
        ["session_id": .string(session), "recorded_seq": .string(sequence)]
    }

    private func log(_ session: String, _ sequence: String, _ history: [JSON]) -> JSONObject {
        ["session_id": .string(session), "source_last_seq": .string(sequence), "history": .array(history)]
    }

    @Test("with the same session on both sides all of it counts")
    func same() {
        let members = log("b", "9-x", [entry("b", "9-x"), entry("a", "5-x")])
        let checkpoint = Checkpoint(source: members, target: members)
        #expect(checkpoint.since == "9-x")
        #expect(checkpoint.history.count == 2)
    }

    @Test("otherwise the newest session that both know counts, and what came after it is forgotten")
    func commonAncestor() {
        let source = log("c", "9-x", [entry("c", "9-x"), entry("b", "7-x"), entry("a", "5-x")])
        let target = log("d", "8-x", [entry("d", "8-x"), entry("b", "7-x"), entry("a", "5-x")])
        let checkpoint = Checkpoint(source: source, target: target)
        #expect(checkpoint.since == "7-x")
        #expect(checkpoint.history == [entry("b", "7-x"), entry("a", "5-x")])
    }

    @Test("what only one side remembers does not count")
    func oneSide() {
        let members = log("a", "9-x", [entry("a", "9-x")])
        #expect(Checkpoint(source: members, target: nil).since == nil)
        #expect(Checkpoint(source: nil, target: members).since == nil)
        #expect(Checkpoint(source: members, target: log("b", "9-x", [entry("b", "9-x")])).since == nil)
    }

    @Test("a run's entry stands first, and no more than fifty are kept")
    func history() throws {
        let old = (0..<60).map { entry("s\($0)", "\($0)-x") }
        let members = log("s0", "0-x", old)
        let checkpoint = Checkpoint(source: members, target: members)
        let session = Checkpoint.Session(id: "new", started: UTCTime(seconds: 0), startSequence: "0-x")
        var statistics = ReplicationStatistics()
        statistics.documentsWritten = 3
        let written = checkpoint.members(
            session, until: "70-x", at: UTCTime(seconds: 86400), statistics, isByDocumentIDs: false)
        let history = try #require(written["history"]?.arrayValue)
        #expect(history.count == 50)
        #expect(
            history[0].objectValue?.names == [
                "session_id", "start_time", "end_time", "start_last_seq", "end_last_seq", "recorded_seq",
                "missing_checked", "missing_found", "docs_read", "docs_written", "doc_write_failures", "bulk_get_docs",
                "bulk_get_attempts",
            ])
        #expect(history[0]["start_time"] == "Thu, 01 Jan 1970 00:00:00 GMT")
        #expect(history[0]["end_time"] == "Fri, 02 Jan 1970 00:00:00 GMT")
        #expect(history[0]["docs_written"] == 3)
        #expect(written.names == ["session_id", "source_last_seq", "replication_id_version", "history"])
    }
}
