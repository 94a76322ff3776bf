import CouchDocument
import Testing

@testable import TokenPool

@Suite("The states of a file")
struct FileHandleTests {
    private let start = Timestamp(seconds: 1000)

    private func file(_ attributes: JSONObject = [:]) -> Project.FileHandle {
        let project = project(ProjectDraft(files: files("a"), attributes: attributes))
        return Project.FileHandle(project.files(named: "a"), at: 0, of: project, rses: ["NEAR"], now: start)
    }

    private func reserved(_ attributes: JSONObject = [:]) throws -> Project.FileHandle {
        try #require(Project.FileHandle(file(attributes).claim(by: "w1", timeout: .seconds(10), at: start).token))
    }

    @Test("a new file is initial, was never tried, and is a token that no pilot takes")
    func new() {
        let file = file()
        #expect(file.state == .initial && file.attempts == 0 && file.workerID == nil && file.reservedSince == nil)
        #expect(file.id == "file_7_test:a" && file.token.type == "file" && file.token.pool.kind == "file")
        #expect(file.json["reserved_since"] == .null)
    }

    @Test("initial → reserved: one try more, the worker and the moment are noted")
    func reserve() throws {
        let file = try reserved()
        #expect(file.state == .reserved && file.attempts == 1 && file.workerID == "w1")
        #expect(file.reservedSince == start && file.token.lease?.until == start + .seconds(10))
    }

    @Test("a reservation without a time-out never lapses")
    func endless() {
        let claim = file().claim(by: "w1", timeout: nil, at: start)
        #expect(!claim.lease.isExpired(at: Timestamp(seconds: 200_000_000_000)))
    }

    @Test(
        "reserved → done, failed, or initial again: nobody has it, the moment and the tries stay",
        arguments: [(FileResult.done, FileState.done), (.failed, .failed), (.retry, .initial)])
    func release(result: FileResult, state: FileState) throws {
        var file = try reserved()
        file.release(result, at: start + .seconds(5))
        #expect(file.state == state && file.workerID == nil && file.attempts == 1 && file.reservedSince == start)
        #expect(file.token.pool.history.map(\.outcome) == [result == .done ? .done : .failed])
    }

    @Test("a file with as many tries as it may have fails although somebody may try again")
    func limit() throws {
        var file = try reserved(["max_attempts": 1])
        file.release(.retry, at: start)
        #expect(file.state == .failed)
    }

    @Test(
        "reserved → initial when its worker had it for too long, or failed where the project says so in any spelling",
        arguments: [
            (nil, FileState.initial), (JSON.bool(true), .initial), ("True", .initial), ("yes", .initial),
            ("False", .failed), ("false", .failed), (.bool(false), .failed), (0, .failed),
        ] as [(JSON?, FileState)])
    func timeOut(retries: JSON?, state: FileState) throws {
        var attributes: JSONObject = [:]
        attributes["retry_on_timeout"] = retries
        var file = try reserved(attributes)
        file.attributes["k"] = "v"
        file.timeOut(at: start + .seconds(11))
        #expect(file.state == state && file.workerID == nil && file.attempts == 1)
        #expect(file.attributes == ["k": "v", "timeouts": 1])
    }

    @Test("any → initial by a restart, tries and time-outs kept", arguments: FileState.allCases)
    func restart(from state: FileState) throws {
        var file = state == .initial ? file() : try reserved()
        if state == .done { file.release(.done, at: start) }
        if state == .failed { file.release(.failed, at: start) }
        #expect(file.state == state)
        file.attributes["timeouts"] = 2
        let attempts = file.attempts
        file.restart(at: start + .seconds(1))
        #expect(file.state == .initial && file.attempts == attempts && file.attributes["timeouts"] == 2)
        #expect(file.workerID == nil)
    }

    @Test(
        "a virtual project is one in any spelling but a no", arguments: [("False", false), ("True", true), ("1", true)])
    func virtual(word: String, isVirtual: Bool) {
        #expect(file(["virtual": .string(word)]).isVirtual == isVirtual)
    }

    @Test("a DID ends its namespace at the first colon")
    func dids() throws {
        let name = try #require(DID("ns:a:b"))
        #expect(name.namespace == "ns" && name.name == "a:b")
        #expect(DID("nocolon") == nil && DID(":x") == nil && DID("x:") == nil)
        #expect(DID(namespace: "a:b", name: "c") == nil)
    }
}

extension Project {
    fileprivate func files(named name: String) -> ProjectFile { ProjectFile(did(name)) }
}
