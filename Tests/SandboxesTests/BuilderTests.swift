import Foundation
import Sandboxes
import Testing

@Suite("Building sandboxes")
struct BuilderTests {
    let folder = try! TemporaryFolder()

    @Test("the same files give the same bytes, whenever and in whatever order they were made")
    func deterministic() async throws {
        let names = ["b/two", "a", "b/one", "ü x", "z/empty", "a.b"]
        for (copy, order) in [("one", names), ("two", names.reversed())] {
            for name in order {
                try folder.write("\(copy)/\(name)", "content of \(name)", mode: name == "a" ? 0o755 : 0o640)
            }
            try folder.link("\(copy)/link", to: "b/one")
        }
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1)], ofItemAtPath: folder("two/a"))
        let first = try await SandboxBuilder.build(folder: folder("one"), to: folder("1.tar.gz"))
        let second = try await SandboxBuilder.build(folder: folder("two"), to: folder("2.tar.gz"))
        #expect(first.digest == second.digest)
        #expect(FileManager.default.contentsEqual(atPath: folder("1.tar.gz"), andPath: folder("2.tar.gz")))
        #expect(first.digest == (try SandboxDigest(ofFile: folder("1.tar.gz"))))

        try folder.write("two/a", "content of a", mode: 0o644)
        #expect(try await SandboxBuilder.build(folder: folder("two"), to: folder("3.tar.gz")).digest != first.digest)
    }

    @Test("what was packed comes out as it was: names, contents, modes, links, empty folders")
    func roundTrip() async throws {
        let long = String(repeating: "d/", count: 70) + String(repeating: "n", count: 200)
        try folder.write("src/\(long)", "deep")
        try folder.write("src/run", "#!/bin/sh\n", mode: 0o750)
        try folder.write("src/ünï \n%+&#\\ ", "odd")
        try folder.link("src/link", to: "./run")
        _ = try folder.folder("src/empty")
        let built = try await SandboxBuilder.build(folder: folder("src"), to: folder("a.tar.gz"))
        let cache = try SandboxCache(folder: folder("cache"))
        let prepared = try await cache.prepare(
            SandboxSpec(source: .archive(path: built.path), digest: built.digest))
        try await cache.unpack(prepared, into: folder.folder("out"))
        #expect(folder.text("out/\(long)") == "deep")
        #expect(folder.text("out/ünï \n%+&#\\ ") == "odd")
        #expect(FileStatus(folder("out/run"))?.mode == 0o750)
        #expect(FileStatus(folder("out/link"))?.kind == .link)
        #expect(FileStatus.isFolder(folder("out/empty")))
        // The usual tar reads it too.
        _ = try folder.folder("tar")
        #expect(try run(["tar", "-xzf", built.path, "-C", folder("tar")]))
        #expect(folder.text("tar/\(long)") == "deep")
    }

    @Test("git's folders and what .tokenpoolignore names stay at home")
    func ignored() async throws {
        for name in [
            ".git/config", "sub/.git/x", "keep.txt", "a.log", "sub/b.log", "sub/important.log", "build/x",
            "sub/build/y",
            "docs/build", "only/here", "deep/only/here", ".hidden",
        ] { try folder.write("src/\(name)", name) }
        try folder.write("src/.tokenpoolignore", "# rules\n*.log\n!important.log\nbuild/\n/only/here\n\n")
        let built = try await SandboxBuilder.build(folder: folder("src"), to: folder("a.tar.gz"))
        let cache = try SandboxCache(folder: folder("cache"))
        try await cache.unpack(
            try await cache.prepare(SandboxSpec(source: .archive(path: built.path))), into: folder.folder("out"))
        let found = try FileManager.default.subpathsOfDirectory(atPath: folder("out")).filter {
            FileStatus(folder("out/\($0)"))?.kind == .file
        }
        #expect(found.sorted() == [".hidden", "deep/only/here", "docs/build", "keep.txt", "sub/important.log"])
    }

    @Test("a link out of the folder is refused by its name")
    func linkOut() async throws {
        try folder.write("src/a", "x")
        try folder.link("src/bad", to: "/etc/passwd")
        let error = await #expect(throws: SandboxError.self) {
            try await SandboxBuilder.build(folder: folder("src"), to: folder("a.tar.gz"))
        }
        #expect(error?.reason.contains("src/bad") == true)
        #expect(!folder.exists("a.tar.gz"))
    }

    @Test("a folder that is not there is refused")
    func missing() async throws {
        let error = await #expect(throws: SandboxError.self) {
            try await SandboxBuilder.build(folder: folder("nowhere"), to: folder("a.tar.gz"))
        }
        #expect(error?.code == .missing)
    }
}

@Suite("Sandboxes from git")
struct GitTests {
    let folder = try! TemporaryFolder()

    private func git(_ arguments: String...) throws {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        try #require(try run(["git", "-C", folder("repository")] + identity + arguments), "git \(arguments)")
    }

    private func makeRepository() throws {
        _ = try folder.folder("repository")
        try git("init", "-q", "-b", "main")
        try folder.write("repository/master.sh", "#!/bin/sh\necho one\n", mode: 0o755)
        try git("add", ".")
        try git("commit", "-q", "-m", "one")
        try git("tag", "v1")
        try git("checkout", "-q", "-b", "feature")
        try folder.write("repository/master.sh", "#!/bin/sh\necho feature\n", mode: 0o755)
        try git("commit", "-qam", "two")
        try git("checkout", "-q", "main")
    }

    @Test("a branch, a tag or a commit is checked out, without .git")
    func checkout() async throws {
        try makeRepository()
        let url = "file://" + folder("repository")
        let cache = try SandboxCache(folder: folder("cache"))
        for (branch, word) in [(nil, "one"), ("feature", "feature"), ("v1", "one")] {
            let out = try folder.folder("out-\(branch ?? "default")")
            let prepared = try await cache.prepare(
                SandboxSpec(source: .git([GitCheckout(url: url, branch: branch)])))
            try await cache.unpack(prepared, into: out)
            #expect(try String(contentsOfFile: "\(out)/master.sh", encoding: .utf8).contains("echo \(word)"))
            #expect(!FileManager.default.fileExists(atPath: "\(out)/.git"))
        }
        // main and v1 are the same files, so the same sandbox.
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("cache/sandboxes")).count == 2)
    }

    @Test("a branch that moved on is fetched again")
    func moved() async throws {
        try makeRepository()
        let spec = SandboxSpec(source: .git([GitCheckout(url: folder("repository"), branch: "main")]))
        let cache = try SandboxCache(folder: folder("cache"))
        let before = try await cache.prepare(spec).digest
        #expect(try await cache.prepare(spec).digest == before)
        try folder.write("repository/new", "x")
        try git("add", ".")
        try git("commit", "-q", "-m", "three")
        #expect(try await cache.prepare(spec).digest != before)
    }

    @Test("further repositories go into folders of their own")
    func scripts() async throws {
        try makeRepository()
        let url = folder("repository")
        let cache = try SandboxCache(folder: folder("cache"))
        let prepared = try await cache.prepare(
            SandboxSpec(
                source: .git([GitCheckout(url: url), GitCheckout(url: url, branch: "feature", folder: "sub/prefactor")])
            ))
        try await cache.unpack(prepared, into: folder.folder("out"))
        #expect(folder.text("out/master.sh")?.contains("echo one") == true)
        #expect(folder.text("out/sub/prefactor/master.sh")?.contains("echo feature") == true)
    }

    @Test("a branch that does not exist is said in one line")
    func missingBranch() async throws {
        try makeRepository()
        let cache = try SandboxCache(folder: folder("cache"))
        let error = await #expect(throws: SandboxError.self) {
            try await cache.prepare(
                SandboxSpec(source: .git([GitCheckout(url: folder("repository"), branch: "nope")])))
        }
        #expect(error?.reason.contains("nope") == true)
        #expect(error?.reason.contains("\n") == false)
    }
}
