import ArgumentParser
import CouchDB
import CouchDocument
import Foundation
import Sandboxes

struct SandboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sandbox",
        abstract: "The files that go with tokens: pack them, put them into the pool, list them.",
        subcommands: [Build.self, Upload.self, List.self])

    /// What `build` and `upload` take.
    struct Source: ParsableArguments {
        @Argument(
            help: "A folder, an archive, an address of one, or a git repository (…/name.git or …/name.git#branch).",
            completion: .file())
        var source: String

        @Option(help: "What people call it (default: the last part of the source's name).")
        var name: String?

        /// The last part without the end that says what kind of file it is.
        var givenName: String {
            if let name { return name }
            let path = source.prefix { $0 != "#" && $0 != "?" }
            var last = path.split(separator: "/").last.map(String.init) ?? "sandbox"
            if last == "." || last == ".." {
                last = URL(fileURLWithPath: source).standardizedFileURL.lastPathComponent
            }
            for end in [".git", ".tar.gz", ".tgz", ".tar.xz", ".tar.zst", ".tar.bz2", ".tar", ".zip"]
            where last.hasSuffix(end) && last.count > end.count {
                return String(last.dropLast(end.count))
            }
            return last
        }
    }

    struct Build: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Pack a folder or repository into an archive that depends on its files only.",
            discussion: "The folder's .tokenpoolignore names what stays out, as .gitignore does; .git always does.")

        @OptionGroup var options: GlobalOptions
        @OptionGroup var source: Source

        @Option(name: [.short, .long], help: "The archive to write (default: NAME.tar.gz here).", completion: .file())
        var output: String?

        func run() async throws {
            let path = output ?? source.givenName + ".tar.gz"
            let built = try await SandboxBuilder.build(try SandboxSpec(argument: source.source), to: path)
            options.output.answer(
                [
                    "path": .string(path), "sha256": .string(built.digest.hex), "size": .integer(built.size),
                    "entries": .integer(built.entries),
                ],
                options.quiet ? [built.digest.hex] : ["\(built.digest.hex)  \(path)  \(built.size) bytes"])
        }
    }

    struct Upload: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a sandbox into the pool, once for the same files.",
            discussion: """
                The answer's "sandbox" member goes into tokens as pool.sandbox; a set's YAML does this by itself with \
                sandbox: FOLDER.
                """)

        @OptionGroup var options: GlobalOptions
        @OptionGroup var source: Source

        func run() async throws {
            let library = SandboxLibrary(try options.poolDatabase())
            let (sandbox, isNew) = try await library.upload(
                try SandboxSpec(argument: source.source), name: source.givenName,
                created: Int(Date().timeIntervalSince1970))
            options.output.say(isNew ? "uploaded \(sandbox.size) bytes" : "it is in the pool already")
            options.output.answer(
                ["id": .string(sandbox.id), "uploaded": .bool(isNew), "sandbox": sandbox.spec.json],
                [sandbox.id])
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The sandboxes in the pool.")

        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let sandboxes = try await SandboxLibrary(try options.poolDatabase()).list()
            let format = ISO8601DateFormatter()
            options.output.table(
                ["id", "name", "size", "created", "state"],
                sandboxes.map {
                    [
                        $0.id, $0.name, "\($0.size)",
                        format.string(from: Date(timeIntervalSince1970: TimeInterval($0.created))),
                        $0.isComplete ? "ready" : "upload broke off",
                    ]
                },
                json: sandboxes.map {
                    [
                        "id": .string($0.id), "name": .string($0.name), "sha256": .string($0.digest.hex),
                        "size": .integer($0.size), "created": .integer($0.created), "complete": .bool($0.isComplete),
                        "sandbox": $0.spec.json,
                    ]
                })
        }
    }
}
