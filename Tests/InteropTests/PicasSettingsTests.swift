import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

extension Interop {
    @Suite("Settings and secrets", .timeLimit(.minutes(3)))
    struct PicasSettingsTests {
        /// A user of a test's own, let into its pool; the home folder is the pool's folder.
        private func withUser(_ body: (JourneyPool, String, [String: String]) async throws -> Void) async throws {
            try await withPool { pool in
                let name = "user-\(UInt64.random(in: 0 ... .max))"
                let server = pool.database.server
                _ = try await server.createDatabaseIfMissing("_users")
                try await server.saveUser(name: name, password: "old \"pass=word:1", roles: ["pilot"])
                try await pool.database.allow(names: [name])
                try await pool.tokenpool("views", "push")
                var environment = pool.environment.filter { !$0.key.hasPrefix("TOKENPOOL_") }
                environment["HOME"] = pool.folder
                do { try await body(pool, name, environment) } catch {
                    try await server.deleteUser(name)
                    throw error
                }
                try await server.deleteUser(name)
            }
        }

        private func plainURL(_ pool: JourneyPool) throws -> String {
            var url = try #require(URLComponents(string: pool.server.url))
            (url.user, url.password) = (nil, nil)
            return url.string ?? ""
        }

        private func tokenpool(
            _ arguments: String..., environment: [String: String], folder: String, input: String = ""
        ) async throws -> Program.Result {
            try await Program.run(
                try Program.built("tokenpool"), arguments, environment: environment, folder: folder, input: input)
        }

        @Test(
            "scenario 17: conf.yml and key.dat written by picas-cli open the database, and are not changed",
            .enabled("PiCaS can be installed") { await Picas.isAvailable() })
        func configuration() async throws {
            try await withUser { pool, name, environment in
                // It fails without this folder.
                try FileManager.default.createDirectory(
                    atPath: pool.folder + "/.config", withIntermediateDirectories: true)
                let arguments = [
                    "init", "--host-url", try plainURL(pool), "--database", pool.database.name, "--username", name,
                    "--password", "old \"pass=word:1",
                ]
                let made = try await Picas.cli(arguments, environment: environment, folder: pool.folder)
                #expect(made.status == 0, "\(made.errors.suffix(1500))")
                let files = ["conf.yml", "key.dat"].map { pool.folder + "/.config/picas/" + $0 }
                let before = try files.map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
                try await pool.save([Token(id: "a")])
                let shown = try await tokenpool("config", "show", environment: environment, folder: pool.folder)
                #expect(shown.status == 0 && shown.output.contains(files[0]) && shown.output.contains(name))
                #expect(!shown.output.contains("pass=word"))
                let listed = try await tokenpool("token", "list", "-q", environment: environment, folder: pool.folder)
                #expect(listed.output == "a\n", "\(listed.errors)")
                // The same file by its name.
                var elsewhere = environment
                elsewhere["HOME"] = pool.folder + "/nowhere"
                let named = try await tokenpool(
                    "token", "list", "-q", "--config", files[0], environment: elsewhere, folder: pool.folder)
                #expect(named.output == "a\n", "\(named.errors)")
                let worked = try await tokenpool(
                    "work", "-q", "--", "true", environment: environment, folder: pool.folder)
                #expect(worked.status == 0, "\(worked.errors)")
                #expect(try files.map { try Data(contentsOf: URL(fileURLWithPath: $0)) } == before)
                // A key that does not fit is told in one line, without any of the secret.
                try Data("bm90IHRoZSBrZXkgYXQgYWxsLCBub3QgYXQgYWxsIQ==".utf8).write(to: URL(fileURLWithPath: files[1]))
                let wrong = try await tokenpool("token", "list", environment: environment, folder: pool.folder)
                #expect(wrong.status == 2 && wrong.errors.contains("does not open encrypted_password"))
            }
        }

        @Test("login keeps the password in a file of one's own, passwd changes it here and there, and nothing shows it")
        func passwords() async throws {
            try await withUser { pool, name, environment in
                let plain = try plainURL(pool)
                let login = try await tokenpool(
                    "login", name, "--url", plain, "--database", pool.database.name, environment: environment,
                    folder: pool.folder, input: "old \"pass=word:1\n")
                #expect(login.status == 0, "\(login.errors)")
                let folder = pool.folder + "/.config/tokenpool"
                func mode(_ path: String) throws -> Int {
                    try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int ?? 0
                }
                #expect(try mode(folder) == 0o700)
                #expect(try mode(folder + "/password") == 0o600 && mode(folder + "/config.yaml") == 0o600)

                var said = [login]
                // Where users may not read their own documents only an admin can do it.
                let own = try await tokenpool(
                    "users", "passwd", environment: environment, folder: pool.folder, input: "new=1\n")
                said.append(own)
                if own.status == 0 {
                    #expect(try String(contentsOfFile: folder + "/password", encoding: .utf8) == "new=1\n")
                    #expect(try mode(folder + "/password") == 0o600)
                } else {
                    #expect(own.status == 4, "\(own.errors)")
                    let admin = try await Program.run(
                        try Program.built("tokenpool"), ["users", "passwd", name], environment: pool.environment,
                        folder: pool.folder, input: "new=1\n")
                    #expect(admin.status == 0, "\(admin.errors)")
                    try Data("new=1\n".utf8).write(to: URL(fileURLWithPath: folder + "/password"))
                }
                #expect(try await pool.database.server.user(name)?["roles"] == ["pilot"])
                for arguments in [["config", "show"], ["config", "check"], ["token", "list", "-vv"], ["doctor"]] {
                    let result = try await Program.run(
                        try Program.built("tokenpool"), arguments, environment: environment, folder: pool.folder)
                    #expect(result.status == 0, "\(arguments): \(result.errors)")
                    said.append(result)
                }
                try FileManager.default.setAttributes(
                    [.posixPermissions: 0o644], ofItemAtPath: folder + "/password")
                let open = try await tokenpool("doctor", environment: environment, folder: pool.folder)
                #expect(open.status == 1 && open.output.contains("chmod 600 \(folder)/password"))
                for result in said {
                    #expect(!(result.output + result.errors).contains("pass=word"))
                    #expect(!(result.output + result.errors).contains("new=1"))
                }
            }
        }

        @Test("GRID_LRT's .picasrc opens the database where the URL names its user, also with an = in the password")
        func picasrc() async throws {
            try await withUser { pool, name, environment in
                let lines = "user=\(name)\npassword=old \"pass=word:1\ndatabase=\(pool.database.name)\n"
                try Data(lines.utf8).write(to: URL(fileURLWithPath: pool.folder + "/.picasrc"))
                try await pool.save([Token(id: "a")])
                let plain = try plainURL(pool)
                let own = plain.replacing("://", with: "://\(name)@")
                let listed = try await tokenpool(
                    "token", "list", "-q", "--url", own, environment: environment, folder: pool.folder)
                #expect(listed.output == "a\n", "\(listed.errors)")
                // It names no server, so its password is not for any that somebody names.
                for url in [plain, plain.replacing("://", with: "://somebody@")] {
                    let shown = try await tokenpool(
                        "config", "show", "--url", url, environment: environment, folder: pool.folder)
                    #expect(!shown.output.contains("(set)"))
                }
            }
        }
    }
}
