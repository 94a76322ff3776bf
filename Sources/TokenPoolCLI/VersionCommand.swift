import ArgumentParser
import CouchDB
import CouchDocument

struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "The version of this command and of the server it talks to.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let info = try? await options.server().info()
        options.output.answer(
            ["tokenpool": .string(ProductVersion.text), "server": info.map { .string($0.summary) } ?? .null],
            ["tokenpool \(ProductVersion.text)", "server    \(info?.summary ?? "not reached")"])
    }
}
