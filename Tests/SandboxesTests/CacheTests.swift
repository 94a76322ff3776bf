import Foundation
import Sandboxes
import Testing

@Suite("The cache of sandboxes")
struct CacheTests {
    let folder = try! TemporaryFolder()

    private func makeArchive(_ name: String = "src", bytes: Int = 1000) async throws -> BuiltSandbox {
        try folder.write("\(name)/file", String(repeating: "\(name) ", count: bytes / (name.count + 1)))
        return try await SandboxBuilder.build(folder: folder(name), to: folder("\(name).tar.gz"))
    }

    private var entries: [String] {
        get throws { try FileManager.default.contentsOfDirectory(atPath: folder("cache/sandboxes")).sorted() }
    }

    @Test("content that is not what the digest says is refused and not kept")
    func mismatch() async throws {
        let built = try await makeArchive()
        let other = try #require(SandboxDigest(String(repeating: "0", count: 64)))
        let cache = try SandboxCache(folder: folder("cache"))
        let error = await #expect(throws: SandboxError.self) {
            try await cache.prepare(SandboxSpec(source: .archive(path: built.path), digest: other))
        }
        #expect(error?.code == .mismatch)
        #expect(try entries.isEmpty)
    }

    @Test("a known digest needs its source no more")
    func reused() async throws {
        let built = try await makeArchive()
        let cache = try SandboxCache(folder: folder("cache"))
        let spec = SandboxSpec(source: .archive(path: built.path), digest: built.digest)
        _ = try await cache.prepare(spec)
        try FileManager.default.removeItem(atPath: built.path)
        let again = try await SandboxCache(folder: folder("cache")).prepare(spec)
        #expect(again.digest == built.digest)
        #expect(again.bytes > 0 && again.entries == 1)
    }

    @Test("tokens that ask at once share one preparation, and each gets files of its own")
    func concurrent() async throws {
        let built = try await makeArchive(bytes: 200_000)
        let folder = folder
        try await withThrowingTaskGroup(of: Void.self) { group in
            for index in 0..<16 {
                group.addTask {
                    // A cache value each, as if each were a process: only the folder is shared.
                    let cache = try SandboxCache(folder: folder("cache"))
                    let known = index.isMultiple(of: 2) ? built.digest : nil
                    let prepared = try await cache.prepare(
                        SandboxSpec(source: .archive(path: built.path), digest: known))
                    try await cache.unpack(prepared, into: folder.folder("out\(index)"))
                    try folder.write("out\(index)/file", "mine: \(index)")
                }
            }
            try await group.waitForAll()
        }
        for index in 0..<16 { #expect(folder.text("out\(index)/file") == "mine: \(index)") }
        #expect(try entries == [built.digest.hex])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("cache/temporary")).isEmpty)
    }

    @Test("a folder is packed again only after a change")
    func folders() async throws {
        try folder.write("src/a", "1")
        let cache = try SandboxCache(folder: folder("cache"))
        let spec = SandboxSpec(source: .folder(path: "src"))
        let first = try await cache.prepare(spec, relativeTo: folder.path).digest
        #expect(try await cache.prepare(spec, relativeTo: folder.path).digest == first)
        try folder.write("src/a", "22")
        #expect(try await cache.prepare(spec, relativeTo: folder.path).digest != first)
    }

    @Test("beyond the limit the sandbox not used for longest goes, but none that is in use")
    func eviction() async throws {
        let cache = try SandboxCache(folder: folder("cache"), sizeLimit: 250_000)
        var specs: [SandboxSpec] = []
        for name in ["one", "two", "three"] {
            let built = try await makeArchive(name, bytes: 100_000)
            specs.append(SandboxSpec(source: .archive(path: built.path), digest: built.digest))
        }
        let last = try await inUse(cache, specs)
        // Nobody holds the second one any more.
        let small = try SandboxCache(folder: folder("cache"), sizeLimit: 150_000)
        try await small.evict()
        let left = try entries
        #expect(left == [last.hex])
    }

    private func inUse(_ cache: SandboxCache, _ specs: [SandboxSpec]) async throws -> SandboxDigest {
        _ = try await cache.prepare(specs[0])
        let held = try await cache.prepare(specs[1])
        // Long ago, both; the second is in use.
        for spec in specs.prefix(2) {
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSince1970: 1)],
                ofItemAtPath: folder("cache/sandboxes/\(spec.digest!.hex)/entry.json"))
        }
        let last = try await cache.prepare(specs[2]).digest
        #expect(try entries == [specs[1], specs[2]].map { $0.digest!.hex }.sorted())
        try await cache.unpack(held, into: folder.folder("out"))
        return last
    }

    @Test("a file: address is read like a path")
    func fileURL() async throws {
        let built = try await makeArchive("with space")
        let url = "file://" + built.path.replacingOccurrences(of: " ", with: "%20")
        let cache = try SandboxCache(folder: folder("cache"))
        #expect(try await cache.prepare(SandboxSpec(source: .url(url))).digest == built.digest)
    }

    @Test("a sandbox never overwrites what already lies in the work folder")
    func noOverwriting() async throws {
        let built = try await makeArchive()
        let cache = try SandboxCache(folder: folder("cache"))
        let prepared = try await cache.prepare(SandboxSpec(source: .archive(path: built.path)))
        try folder.write("out/file", "mine")
        await #expect(throws: SandboxError.self) { try await cache.unpack(prepared, into: folder("out")) }
        #expect(folder.text("out/file") == "mine")
    }
}
