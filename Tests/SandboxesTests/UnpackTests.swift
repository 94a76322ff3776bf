import Foundation
import Sandboxes
import Testing

@Suite("Unpacking archives that nobody vouches for")
struct UnpackTests {
    let folder = try! TemporaryFolder()

    /// Prepares the archive and copies it to `out`.
    private func unpack(_ tar: RawTar, limits: UnpackLimits = UnpackLimits()) async throws {
        try tar.write(to: folder("a.tar"))
        let cache = try SandboxCache(folder: folder("cache"), limits: limits)
        let prepared = try await cache.prepare(SandboxSpec(source: .archive(path: folder("a.tar"))))
        try await cache.unpack(prepared, into: folder.folder("out"))
    }

    private func refusal(_ tar: RawTar, limits: UnpackLimits = UnpackLimits()) async throws -> String {
        let error = await #expect(throws: SandboxError.self) { try await unpack(tar, limits: limits) }
        #expect(error?.code == .unsafe)
        #expect(!folder.exists("evil"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("cache/sandboxes")).isEmpty)
        return error?.reason ?? ""
    }

    @Test("a name with .. is refused", arguments: ["../evil", "a/../../evil", "a/.."])
    func parent(name: String) async throws {
        var tar = RawTar()
        tar.add("fine", content: "x")
        tar.add(name, content: "bad")
        #expect(try await refusal(tar).contains("leads out"))
    }

    @Test("an absolute name is refused")
    func absolute() async throws {
        var tar = RawTar()
        tar.add(folder("evil"), content: "bad")
        #expect(try await refusal(tar).contains("absolute"))
    }

    @Test(
        "a link out of the folder is refused",
        arguments: ["/etc/passwd", "..", "../x", "a/../../x", "./../x", "../out-evil"])
    func linkOut(target: String) async throws {
        var tar = RawTar()
        tar.add("link", type: "2", target: target)
        #expect(try await refusal(tar).contains("leads out"))
    }

    @Test("a link that leads out only by way of another link is refused")
    func chain() async throws {
        var tar = RawTar()
        tar.add("d/", type: "5", mode: 0o755)
        tar.add("d/e/", type: "5", mode: 0o755)
        tar.add("d/e/up", type: "2", target: "../..")
        // By its letters it stays inside: d/e/up/.. is d/e. By the other link it is the folder above all.
        tar.add("out", type: "2", target: "d/e/up/../x")
        #expect(try await refusal(tar).contains("leads out"))
    }

    @Test("links that turn in circles are refused")
    func circle() async throws {
        var tar = RawTar()
        tar.add("a", type: "2", target: "b")
        tar.add("b", type: "2", target: "a")
        #expect(try await refusal(tar).contains("leads out"))
    }

    @Test("nothing is written through a link")
    func throughLink() async throws {
        try FileManager.default.createDirectory(atPath: folder("outside"), withIntermediateDirectories: true)
        var tar = RawTar()
        tar.add("d", type: "2", target: folder("outside"))
        tar.add("d/evil", content: "bad")
        await #expect(throws: SandboxError.self) { try await unpack(tar) }
        #expect(!folder.exists("outside/evil"))
    }

    @Test("a hard link to the outside is refused", arguments: ["../secret", "/etc/passwd"])
    func hardLink(target: String) async throws {
        try folder.write("secret", "s")
        var tar = RawTar()
        tar.add("h", type: "1", target: target)
        #expect(!(try await refusal(tar).isEmpty))
    }

    @Test("devices and pipes are refused", arguments: ["3", "4", "6"] as [Character])
    func devices(type: Character) async throws {
        var tar = RawTar()
        tar.add("dev", type: type)
        #expect(try await refusal(tar).contains("no file, folder or link"))
    }

    @Test("more entries or bytes than the limits are refused")
    func limits() async throws {
        var tar = RawTar()
        for index in 0..<5 { tar.add("f\(index)", content: String(repeating: "x", count: 1000)) }
        #expect(try await refusal(tar, limits: UnpackLimits(entries: 4)).contains("more than 4 entries"))
        #expect(try await refusal(tar, limits: UnpackLimits(bytes: 4999)).contains("beyond 4999 bytes"))
        try await unpack(tar, limits: UnpackLimits(bytes: 5000, entries: 5))
    }

    @Test("set-user bits are dropped, other modes, links and odd names are kept")
    func kept() async throws {
        var tar = RawTar()
        tar.add("bin/run me", content: "#!", mode: 0o4755)
        tar.add("bin/ünï\n%20+&#", content: "odd")
        tar.add("bin/link", type: "2", target: "../bin/run me")
        tar.add("hard", type: "1", target: "bin/run me")
        tar.add("./dot/", type: "5", mode: 0o555)
        try await unpack(tar)
        #expect(FileStatus(folder("out/bin/run me"))?.mode == 0o755)
        #expect(folder.text("out/bin/ünï\n%20+&#") == "odd")
        #expect(folder.text("out/bin/link") == "#!")
        #expect(folder.text("out/hard") == "#!")
        #expect(FileStatus(folder("out/dot"))?.mode == 0o755)
    }

    @Test("what is no archive, or half of one, is refused and not kept")
    func noArchive() async throws {
        try folder.write("a.tar.gz", "<html>not found</html>")
        let cache = try SandboxCache(folder: folder("cache"))
        let error = await #expect(throws: SandboxError.self) {
            try await cache.prepare(SandboxSpec(source: .archive(path: folder("a.tar.gz"))))
        }
        #expect(error?.code == .illFormed)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("cache/sandboxes")).isEmpty)

        try folder.write("src/big", (0..<200_000).map { "\($0 &* 7919)" }.joined())
        let built = try await SandboxBuilder.build(folder: folder("src"), to: folder("b.tar.gz"))
        let half = try Data(contentsOf: URL(fileURLWithPath: built.path)).prefix(built.size / 2)
        try half.write(to: URL(fileURLWithPath: folder("half.tar.gz")))
        await #expect(throws: SandboxError.self) {
            try await cache.prepare(SandboxSpec(source: .archive(path: folder("half.tar.gz"))))
        }
    }

    @Test(
        "archives of the usual programs are read", arguments: ["tar", "tar.gz", "tar.xz", "tar.bz2", "tar.zst", "zip"])
    func formats(format: String) async throws {
        try folder.write("src/sub/größe.txt", "hello")
        try folder.write("src/run", "#!/bin/sh\n", mode: 0o755)
        let archive = folder("a.\(format)")
        let made =
            format == "zip"
            ? try run(["python3", "-m", "zipfile", "-c", archive, "run", "sub"], in: folder("src"))
            : try run(["tar", "--auto-compress", "--format=pax", "-cf", archive, "."], in: folder("src"))
        try #require(made || format == "tar.zst", "tar could not make \(format)")
        guard made else { return }
        let cache = try SandboxCache(folder: folder("cache"))
        let prepared = try await cache.prepare(SandboxSpec(source: .archive(path: archive)))
        try await cache.unpack(prepared, into: folder.folder("out"))
        #expect(folder.text("out/sub/größe.txt") == "hello")
        #expect(FileStatus(folder("out/run"))?.mode == 0o755)
    }
}
