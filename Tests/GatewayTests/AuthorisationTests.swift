import CouchDB
import CouchDocument
import Crypto
import Foundation
import TestSupport
import Testing
import TokenPool

@testable import Gateway

/// Every page of the dispatcher as seven kinds of people meet it. `{n}` is a project of alice's with the files a and b for
/// bob and the role production; `{x}` is a storage element.
private struct Page: Sendable {
    enum Kind { case open, reading, changing }
    let kind: Kind
    let method: String
    let path: String
    var body: JSON?
    /// The statuses, in the order of ``Caller``.
    let statuses: [Int]

    init(_ kind: Kind, _ method: String, _ path: String, _ body: JSON? = nil, _ statuses: String) {
        self.kind = kind
        self.method = method
        self.path = path
        self.body = body
        self.statuses = statuses.split(separator: " ").compactMap { Int($0) }
    }

    //                          anonymous expired stranger listed role owner admin
    static let anybody = "      200       200     200      200    200  200   200"
    static let signedIn = "     401       401     200      200    200  200   200"
    static let workers = "      401       401     403      200    200  200   200"
    static let owners = "       401       401     403      403    403  200   200"
    static let admins = "       401       401     403      403    403  403   200"
    static let nobody = "       404       404     404      404    404  404   404"

    static let all: [Page] = [
        Page(.open, "GET", "/data/version", nil, anybody),
        Page(.open, "GET", "/data/probe", nil, anybody),
        Page(.open, "GET", "/auth/version", nil, anybody),
        Page(.open, "GET", "/data/replica_available", nil, nobody),
        Page(.reading, "GET", "/data/project?project_id={n}&with_files=yes&with_replicas=yes", nil, anybody),
        Page(.reading, "GET", "/data/handles?project_id={n}", nil, anybody),
        Page(.reading, "GET", "/data/file_handle?project_id={n}&namespace=test&name=a", nil, anybody),
        Page(.reading, "GET", "/data/handles?project_id={n}&worker_id=w", nil, anybody),
        Page(.reading, "GET", "/data/handle_state_counts?project_id={n}", nil, anybody),
        Page(.reading, "GET", "/data/project_log?project_id={n}", nil, anybody),
        Page(.reading, "GET", "/data/file_log?handle_id={n}:test:a", nil, anybody),
        Page(.reading, "GET", "/data/event_counts?project_id={n}", nil, anybody),
        Page(.reading, "GET", "/data/rses", nil, anybody),
        Page(.reading, "GET", "/data/get_rse?name={x}", nil, anybody),
        Page(.reading, "POST", "/data/search_projects", ["query": "owner = alice", "with_handles": true], anybody),
        Page(.open, "GET", "/data/projects?owner=all", nil, signedIn),
        Page(.open, "GET", "/data/projects?owner=all&with_counts=yes", nil, signedIn),
        Page(.open, "GET", "/auth/verify", nil, signedIn),
        Page(.open, "GET", "/auth/whoami", nil, signedIn),
        Page(.changing, "POST", "/data/create_project", ["files": [["namespace": "test", "name": "a"]]], signedIn),
        Page(.changing, "POST", "/data/copy_project", ["project_id": "{n}"], signedIn),
        Page(.changing, "GET", "/data/next_file?project_id={n}&worker_id=w&cpu_site=DEFAULT", nil, workers),
        Page(.changing, "GET", "/data/release?handle_id={n}:test:a&failed=no", nil, workers),
        Page(.changing, "GET", "/data/release?handle_id={n}:test:a&failed=yes&retry=yes", nil, workers),
        Page(.changing, "GET", "/data/release?handle_id={n}:test:a&failed=yes&retry=no", nil, workers),
        Page(.changing, "POST", "/data/renew?project_id={n}&worker_id=w", nil, workers),
        Page(.changing, "POST", "/data/restart_handles", ["project_id": "{n}", "reserved": true], owners),
        Page(.changing, "POST", "/data/restart_handles", ["project_id": "{n}", "handles": ["test:a"]], owners),
        Page(.changing, "GET", "/data/cancel_project?project_id={n}", nil, owners),
        Page(.changing, "GET", "/data/activate_project?project_id={n}", nil, owners),
        Page(.changing, "GET", "/data/delete_project?project_id={n}", nil, owners),
        Page(.changing, "GET", "/data/set_rse_availability?name={x}&available=no", nil, admins),
        Page(.changing, "POST", "/data/create_rse", ["name": "new {x}"], admins),
        Page(.changing, "POST", "/data/update_rse", ["Name": "{x}", "Description": "changed"], admins),
        Page(.changing, "GET", "/data/delete_rse?name={x}", nil, admins),
    ]
}

private enum Caller: Int, CaseIterable {
    case anonymous, expired, stranger, listed, role, owner, admin

    var user: String? {
        switch self {
        case .anonymous: nil
        case .expired, .owner: "alice"
        case .stranger: "dave"
        case .listed: "bob"
        case .role: "carol"
        case .admin: "root1"
        }
    }
}

@Suite("Who may do what at the dispatcher", .serialized)
struct AuthorisationTests {
    /// Tokens as the server makes them, for times and people of a test's choice.
    private static func token(_ dd: Dispatching, _ user: String, expires: Double) throws -> String {
        let secret = try String(contentsOfFile: dd.server.folder + "/data/cookie-secret", encoding: .utf8)
            .split(separator: "\n")[0]
        let key = SymmetricKey(data: SHA256.hash(data: Array("tokenpool dispatcher\n\(secret)".utf8)))
        return AccessToken(user: user, expires: expires).text(key, now: expires - 100)
    }

    private static func tokens(_ dd: Dispatching) async throws -> [Caller: String] {
        var tokens: [Caller: String] = [:]
        for caller in Caller.allCases {
            guard let user = caller.user else { continue }
            tokens[caller] =
                caller == .expired
                ? try token(dd, user, expires: Date().timeIntervalSince1970 - 1) : try await dd.token(user)
        }
        return tokens
    }

    private static func filled(_ text: String, _ number: Int, _ element: String) -> String {
        text.replacing("{n}", with: "\(number)").replacing("{x}", with: element)
    }

    @Test("every page answers everybody as the table says, and what is refused changes nothing")
    func table() async throws {
        try await Dispatching.run { dd in
            let tokens = try await Self.tokens(dd)
            let alice = try #require(tokens[.owner])
            var number = try await Self.project(dd, alice)
            for (index, page) in Page.all.enumerated() {
                #expect(page.statuses.count == Caller.allCases.count)
                for caller in Caller.allCases {
                    let element = "X\(index)-\(caller)"
                    let status = page.statuses[caller.rawValue]
                    if page.kind == .changing {
                        // What was allowed has changed it: the next one meets another.
                        if status == 200 { number = try await Self.project(dd, alice) }
                        if page.path.contains("rse") { _ = try await dd.projects.create(RSE(name: element)) }
                    } else if page.path.contains("rse") {
                        _ = try await dd.projects.create(RSE(name: element))
                    }
                    let before = try await dd.projects.database.info().updateSequence
                    let body = try page.body.map {
                        try JSON(parsing: Self.filled(String(decoding: $0.encoded(), as: UTF8.self), number, element))
                    }
                    let answer = try await dd.send(
                        page.method, Self.filled(page.path, number, element), token: tokens[caller], body: body)
                    #expect(answer.status == status, "\(page.method) \(page.path) as \(caller): \(answer.text)")
                    if status == 401 {
                        #expect(answer.text == (caller == .expired ? "Token expired" : "Token not found"))
                    }
                    if status >= 400 { #expect(!answer.text.contains("\n") && !answer.text.isEmpty) }
                    if status >= 400 || page.kind != .changing {
                        let after = try await dd.projects.database.info().updateSequence
                        #expect(before == after, "\(page.path) as \(caller) changed something")
                    }
                }
            }
        }
    }

    /// A project of alice's, whose file a is reserved.
    private static func project(_ dd: Dispatching, _ token: String) async throws -> Int {
        let number = try await dd.create(["a", "b"], token: token, ["users": ["bob"], "roles": ["production"]])
        let next = "/data/next_file?project_id=\(number)&worker_id=w&cpu_site=DEFAULT"
        _ = try await dd.send("GET", next, token: token)
        return number
    }

    @Test("a private pool is read only by those who signed in")
    func privately() async throws {
        try await Dispatching.run(["--dispatcher-private"]) { dd in
            let tokens = try await Self.tokens(dd)
            let number = try await Self.project(dd, try #require(tokens[.owner]))
            for page in Page.all where page.kind == .reading {
                for caller in Caller.allCases {
                    let path = Self.filled(page.path, number, "A")
                    let answer = try await dd.send(page.method, path, token: tokens[caller], body: page.body)
                    let isIn = caller != .anonymous && caller != .expired
                    #expect(answer.status == (isIn ? 200 : 401), "\(path) as \(caller)")
                }
            }
        }
    }

    @Test("a token of somebody who is no more, of another server, or for nobody opens nothing")
    func strangeTokens() async throws {
        try await Dispatching.run { dd in
            let later = Date().timeIntervalSince1970 + 1000
            let ghost = try await dd.send(
                "GET", "/data/projects", token: try Self.token(dd, "ghost", expires: later))
            #expect(ghost.status == 401 && ghost.text == "user ghost not found")
            let other = AccessToken(user: "alice", expires: later).text(SymmetricKey(size: .bits256), now: later - 100)
            for token in [other, "x", "a.b.c", "..", String(repeating: "x", count: 20_000)] {
                let answer = try await dd.send("GET", "/data/projects", token: token)
                #expect(answer.status == 401 && answer.text == "Token verification failed", "\(answer.status)")
            }
        }
    }
}
