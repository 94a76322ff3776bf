import Foundation
import Sandboxes
import Testing

@Suite("Patterns")
struct GlobTests {
    @Test(
        "patterns mean what they mean in a shell",
        arguments: [
            ("*.txt", "a.txt", true), ("*.txt", "d/a.txt", false), ("*.txt", ".txt", false), (".*", ".txt", true),
            ("**/*.txt", "a.txt", true), ("**/*.txt", "d/e/a.txt", true), ("**/*.txt", "d/.e/a.txt", false),
            ("d/**", "d/e/f", true), ("d/**", "d", true), ("d/*", "d/e/f", false), ("a?c", "abc", true),
            ("a?c", "aüc", true), ("a?c", "a/c", false), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false),
            ("[]x]", "]", true), ("[a-]", "-", true), ("\\*", "*", true), ("\\*", "x", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false), ("x/**/y", "x/y", true), ("x/**/y", "x/a/b/y", true), ("./a", "a", true),
            ("été*", "été 1", true), ("a b%+&#\n", "a b%+&#\n", true),
        ])
    func patterns(pattern: String, path: String, matches: Bool) throws {
        #expect(try GlobPattern(pattern).matches(path) == matches)
    }

    @Test("what is no pattern is refused", arguments: ["", "/etc/*", "../x", "a/../b", "[a", "[z-a]"])
    func refused(pattern: String) {
        #expect(throws: SandboxError.self) { try GlobPattern(pattern) }
    }
}

@Suite("Outputs")
struct OutputTests {
    let folder = try! TemporaryFolder()

    @Test("outputs are found once each, sorted, with size and type")
    func found() throws {
        for name in ["b.png", "a.PNG", "sub/ünï %+&#.fits", "sub/deep/x.txt", "core"] {
            try folder.write("w/\(name)", name)
        }
        let files = try OutputCollector.files(
            matching: ["**/*.fits", "*.[pP]*", "**/*.fits", "sub/**/*.txt"], in: folder("w"))
        #expect(files.map(\.name) == ["a.PNG", "b.png", "sub/deep/x.txt", "sub/ünï %+&#.fits"])
        #expect(files.map(\.contentType) == ["image/png", "image/png", "text/plain", "image/fits"])
        #expect(files.map(\.size) == files.map(\.name.utf8.count))
        #expect(files.allSatisfy { FileManager.default.contents(atPath: $0.path)?.count == $0.size })
    }

    @Test("links stay within the folder, and what can not be an attachment is told")
    func refused() throws {
        try folder.write("secret", "s")
        try folder.write("w/real.txt", "r")
        try folder.write("w/_x.txt", "u")
        try folder.link("w/in.txt", to: "real.txt")
        try folder.link("w/out.txt", to: "../secret")
        try folder.link("w/dangling.txt", to: "nothing")
        try folder.link("w/up", to: "..")
        let name = Array("\(folder("w"))/bad\u{1}.txt".utf8).map { $0 == 1 ? 0xFF : $0 }
        let descriptor = (name + [0]).withUnsafeBytes {
            creat($0.baseAddress!.assumingMemoryBound(to: CChar.self), 0o600)
        }
        close(descriptor)
        let found = try OutputCollector.collect(["*.txt", "**/secret"], in: folder("w"))
        #expect(found.files.map(\.name) == ["in.txt", "real.txt"])
        #expect(found.refused.count == 4)
        for word in ["_x.txt", "link out of", "link to nothing", "not UTF-8"] {
            #expect(found.refused.contains { $0.contains(word) }, "\(word)")
        }
    }

    @Test("no patterns, no outputs; a folder that is gone is an error")
    func edges() throws {
        #expect(try OutputCollector.files(matching: [], in: folder("nowhere")).isEmpty)
        #expect(throws: SandboxError.self) { try OutputCollector.files(matching: ["*"], in: folder("nowhere")) }
    }
}
