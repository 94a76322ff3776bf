import Foundation
import Testing

@testable import DispatcherClient

/// A folder of a test's own.
func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("dispatcher-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try body(folder.path)
}

/// A token that nobody signed.
func token(of user: String, until expires: Double) -> String {
    func part(_ text: String) -> String {
        Data(text.utf8).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }
    return part("{}") + "." + part("{\"sub\":\"\(user)\",\"exp\":\(expires)}") + ".x"
}

@Suite("The token library")
struct TokenLibraryTests {
    @Test("keeps a token a server, by the URL as it was given, where only its owner can read it")
    func keeps() throws {
        try withFolder { folder in
            let library = TokenLibrary(path: folder + "/.token_library")
            let (first, second) = (token(of: "alice", until: 2000), token(of: "bob", until: 2000))
            try library.keep(first, for: "http://host/data", now: 1000)
            try library.keep(first, for: "http://host/data/", now: 1000)
            try library.keep(second, for: "http://host/data", now: 1000)
            #expect(try library.token(for: "http://host/data", now: 1000) == second)
            #expect(try library.token(for: "http://host/data/", now: 1000) == first)
            #expect(try library.token(for: "http://other", now: 1000) == nil)
            let text = try String(contentsOfFile: library.path, encoding: .utf8)
            #expect(text == "http://host/data/ \(first)\nhttp://host/data \(second)\n")
            let mode = try FileManager.default.attributesOfItem(atPath: library.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test("knows no token that has ended, and forgets it with the next that is kept")
    func forgets() throws {
        try withFolder { folder in
            let library = TokenLibrary(path: folder + "/.token_library")
            try library.keep(token(of: "alice", until: 2000), for: "http://one", now: 1000)
            #expect(try library.token(for: "http://one", now: 2000) == nil)
            try library.keep(token(of: "alice", until: 3000), for: "http://two", now: 2000)
            #expect(try !String(contentsOfFile: library.path, encoding: .utf8).contains("http://one"))
        }
    }

    @Test("is the first that there is: at home, in the working directory, in /tmp; else the first that can be made")
    func place() throws {
        try withFolder { folder in
            let places = ["home", "here", "shared"].map { folder + "/" + $0 }
            for place in places {
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            }
            func found(_ home: String?) -> String? {
                TokenLibrary.find(home: home, folder: places[1], shared: places[2])?.path
            }
            #expect(found(places[0]) == places[0] + "/.token_library")
            #expect(found(folder + "/nowhere") == places[1] + "/.token_library")
            #expect(found(nil) == places[1] + "/.token_library")
            try Data().write(to: URL(fileURLWithPath: places[2] + "/.token_library"))
            #expect(found(places[0]) == places[2] + "/.token_library")
            try Data().write(to: URL(fileURLWithPath: places[1] + "/.token_library"))
            #expect(found(places[0]) == places[1] + "/.token_library")
        }
    }
}

@Suite("A grid token")
struct BearerTokenTests {
    @Test("is looked for in the option, BEARER_TOKEN, its file, and the run-time folder, in this order")
    func order() throws {
        try withFolder { folder in
            func write(_ name: String) throws -> String {
                try Data("\(name)-token\n".utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
                return folder + "/" + name
            }
            let given = try write("given")
            let file = try write("file")
            _ = try write("bt_u77")
            _ = try write("bt_u1000")
            var environment = [
                "BEARER_TOKEN": "variable", "BEARER_TOKEN_FILE": file, "XDG_RUNTIME_DIR": folder, "ID": "77",
            ]
            func found(_ option: String? = nil) throws -> String {
                try BearerToken.find(given: option, environment: environment, userID: 1000)
            }
            #expect(try found(given) == "given-token")
            #expect(try found("a.b.c") == "a.b.c")
            #expect(try found() == "variable")
            environment["BEARER_TOKEN"] = nil
            #expect(try found() == "file-token")
            environment["BEARER_TOKEN_FILE"] = nil
            #expect(try found() == "bt_u77-token")
            environment["ID"] = nil
            #expect(try found() == "bt_u1000-token")
            environment["ID"] = "5"
            #expect(throws: SignInError("File not found: \(folder)/bt_u5")) { try found() }
        }
    }
}

@Suite("A worker's name")
struct WorkerIDFileTests {
    @Test("is made of eight hexadecimal digits when there is none, and stays")
    func made() throws {
        try withFolder { folder in
            let file = WorkerIDFile(folder: folder)
            let name = try file.current()
            #expect(name.wholeMatch(of: /[0-9a-f]{8}/) != nil)
            #expect(try file.current() == name)
            #expect(try file.renew() != name)
            try file.set("node 7")
            #expect(try file.current() == "node 7")
            // Others read the whole file: no line end.
            #expect(
                try String(contentsOfFile: folder + "/.data_dispatcher_worker_id", encoding: .utf8) == "node 7")
        }
    }
}

@Suite("A digest")
struct DigestAnswerTests {
    @Test("is that of RFC 2617's example")
    func example() throws {
        let challenge = """
            Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", \
            opaque="5ccc069c403ebaf9f0171e9517f40e41"
            """
        let answer = try #require(DigestAnswer(challenge)).authorization(
            user: "Mufasa", password: "Circle Of Life", method: "GET", uri: "/dir/index.html", client: "0a4f113b")
        #expect(answer.contains("response=\"6629fae49393a05397450978507c4ef1\""))
        #expect(answer.contains("opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""))
    }

    @Test(
        "is not given to a challenge of another kind",
        arguments: ["Basic realm=\"x\"", "Digest realm=\"x\"", "Digest realm=\"x\", nonce=\"y\", algorithm=SHA-256"])
    func others(challenge: String) { #expect(DigestAnswer(challenge) == nil) }
}
