import CouchDocument
import Sandboxes
import Testing

@Suite("Specifications of sandboxes")
struct SpecTests {
    static let digest = String(repeating: "ab", count: 32)

    @Test(
        "every form is read, and written in the form of tokens",
        arguments: [
            (#"{"folder":"/x y/ü"}"#, #"{"source":"folder","path":"/x y/ü"}"#),
            (#"{"source":"folder","path":"tools"}"#, #"{"source":"folder","path":"tools"}"#),
            (#"{"archive":"a.tar.zst","name":"n"}"#, #"{"name":"n","source":"archive","path":"a.tar.zst"}"#),
            (#"{"attachment":"a b.zip"}"#, #"{"source":"attachment","attachment":"a b.zip"}"#),
            (
                #"{"source":"attachment","database":"d/e","document":"sandbox_1","attachment":"s"}"#,
                #"{"source":"attachment","database":"d/e","document":"sandbox_1","attachment":"s"}"#
            ),
            (#"{"url":"https://h/a.tar.gz"}"#, #"{"source":"url","url":"https://h/a.tar.gz"}"#),
            (
                #"{"git":"https://h/r.git","branch":"b"}"#, #"{"source":"git","url":"https://h/r.git","branch":"b"}"#
            ),
        ])
    func forms(text: String, expected: String) throws {
        let spec = try SandboxSpec(json: try JSON(parsing: text))
        #expect(spec.json.description == expected)
        #expect(try SandboxSpec(json: spec.json) == spec)
    }

    @Test("GRID_LRT's two ways to name repositories are read")
    func gridLRT() throws {
        let new = try SandboxSpec(
            json: try JSON(
                parsing:
                    #"{"git":{"branch":"prefactor","url":"https://h/base.git"},"scripts":[{"prefactor":{"branch":"master","checkout_dir":"pf","url":"https://h/pf.git"}}]}"#
            ))
        #expect(
            new.source
                == .git([
                    GitCheckout(url: "https://h/base.git", branch: "prefactor"),
                    GitCheckout(url: "https://h/pf.git", branch: "master", folder: "pf"),
                ]))
        let old = try SandboxSpec(
            json: try JSON(
                parsing:
                    #"{"name":"pref_cal1","git":{"location":"https://h/base.git","branch":"b"},"git_scripts":{"prefactor":{"git_url":"https://h/pf.git","commit":"30c5d1e"}}}"#
            ))
        #expect(
            old.source
                == .git([
                    GitCheckout(url: "https://h/base.git", branch: "b"),
                    GitCheckout(url: "https://h/pf.git", commit: "30c5d1e", folder: "prefactor"),
                ]))
    }

    @Test("a digest is read with and without its algorithm, in any case")
    func digests() throws {
        for text in [Self.digest, "sha256:" + Self.digest, Self.digest.uppercased()] {
            #expect(try SandboxSpec(json: ["folder": "f", "sha256": .string(text)]).digest?.hex == Self.digest)
        }
    }

    @Test(
        "what is no sandbox is refused in one line that says why",
        arguments: [
            (#"7"#, "not number"), (#"{}"#, "exactly one of"), (#"{"folder":"a","url":"http://h"}"#, "exactly one of"),
            (#"{"source":"tape"}"#, "one of folder"), (#"{"source":"folder"}"#, "lacks path"),
            (#"{"folder":3}"#, "is a text, not number"), (#"{"folder":""}"#, "is empty"),
            (#"{"url":"ftp://h/x"}"#, "must begin with http"), (#"{"folder":"a","sha256":"12"}"#, "64 hex digits"),
            (#"{"folder":"a","sha265":"12"}"#, "sha265 means nothing"), (#"{"git":"--upload-pack=x"}"#, "not one"),
            (#"{"git":"https://h/r.git","branch":"-x"}"#, "branch of a git sandbox"),
            (#"{"git":{"url":"https://h/r.git"},"scripts":[{"../x":{"url":"https://h"}}]}"#, "must lie within"),
            (#"{"git":{"branch":"b"}}"#, "lacks the url"),
        ])
    func refusals(text: String, reason: String) throws {
        let error = #expect(throws: SandboxError.self) { try SandboxSpec(json: try JSON(parsing: text)) }
        #expect(error?.code == .illFormed)
        #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
        #expect(error?.reason.contains("\n") == false)
    }

    @Test("an argument of the command line is told apart by its form")
    func arguments() throws {
        func source(_ text: String) throws -> SandboxSpec.Source {
            try SandboxSpec(argument: text, isFolder: { $0 == "tools" }).source
        }
        #expect(try source("tools") == .folder(path: "tools"))
        #expect(try source("other/") == .folder(path: "other/"))
        #expect(try source("x.tar.gz") == .archive(path: "x.tar.gz"))
        #expect(try source("https://h/x.zip") == .url("https://h/x.zip"))
        #expect(try source("https://h/r.git#v2") == .git([GitCheckout(url: "https://h/r.git", branch: "v2")]))
    }

    @Test("passwords in addresses are not shown")
    func secrets() throws {
        let spec = try SandboxSpec(json: ["url": "https://me:se@cret@host/x?a=@"])
        #expect(spec.summary == "address https://host/x?a=@")
    }
}
