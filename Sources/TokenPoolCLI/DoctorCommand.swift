import ArgumentParser
import CouchDB
import CouchDocument
import DesignDocuments
import Foundation

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Check everything a worker needs from here, and say what to do about it.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        var findings: [Finding] = []
        let settings = try options.settings()
        let server = try options.server()
        do {
            findings.append(.init(name: "server", advice: nil, detail: try await server.info().summary))
        } catch {
            findings.append(
                .init(name: "server", advice: "check --url, or start tokenpoold", detail: "\(error)"))
            try report(findings)
            throw ExitStatus.unreachable
        }
        let database = server.database(settings.database)
        do {
            let info = try await database.info()
            findings.append(.init(name: "database", advice: nil, detail: "\(info.documentCount) documents"))
            try await checkViews(database, &findings)
            findings.append(try await checkClock(server))
        } catch {
            findings.append(.init(name: "database", advice: "run `tokenpool init`", detail: "\(error)"))
        }
        if let file = settings.secretFile { findings.append(secrecy(of: file)) }
        let shell = FileManager.default.isExecutableFile(atPath: "/bin/sh")
        findings.append(.init(name: "shell", advice: shell ? nil : "commands need /bin/sh", detail: "/bin/sh"))
        try report(findings)
        if findings.contains(where: { $0.advice != nil }) { throw ExitStatus.no }
    }

    private struct Finding {
        let name: String
        /// What to do; `nil` when all is well.
        let advice: String?
        let detail: String

        var json: JSON {
            let advice = advice.map(JSON.string) ?? .null
            return ["check": .string(name), "ok": .bool(advice == .null), "detail": .string(detail), "advice": advice]
        }
    }

    /// Whether only its owner may read the file that holds the password, or the key to it.
    private func secrecy(of file: String) -> Finding {
        let mode = (try? FileManager.default.attributesOfItem(atPath: file))?[.posixPermissions] as? Int
        let isOpen = mode.map { $0 & 0o077 != 0 } ?? false
        return Finding(
            name: "password", advice: isOpen ? "others can read it: run `chmod 600 \(file)`" : nil, detail: file)
    }

    private func checkViews(_ database: Database, _ findings: inout [Finding]) async throws {
        for wanted in DesignDocuments.all {
            let stored = try await database.designDocument(wanted.name)
            let missing = wanted.views.filter { stored?.views[$0.key] != $0.value }.keys.sorted()
            findings.append(
                .init(
                    name: "views \(wanted.name)", advice: missing.isEmpty ? nil : "run `tokenpool views push`",
                    detail: missing.isEmpty ? "up to date" : "missing or other: " + missing.joined(separator: ", ")))
        }
    }

    /// Leases are compared with the clocks of other machines: a wrong one takes tokens too early or keeps them too long.
    private func checkClock(_ server: Server) async throws -> Finding {
        let answer = try await server.request("GET", "/", query: [], headers: [], body: nil)
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        guard let date = answer.headers["Date"].flatMap(format.date(from:)) else {
            return Finding(name: "clock", advice: nil, detail: "the server tells no time")
        }
        let offset = Int(Date().timeIntervalSince(date).rounded())
        return Finding(
            name: "clock", advice: abs(offset) > 30 ? "set the clock of this machine or of the server (NTP)" : nil,
            detail: "\(offset) s from the server's")
    }

    private func report(_ findings: [Finding]) throws {
        let rows = findings.map { [$0.name, $0.advice.map { advice in "NO: " + advice } ?? "ok", $0.detail] }
        options.output.table(["check", "state", "detail"], rows, json: findings.map(\.json))
    }
}
