import ArgumentParser
import CouchDB
import CouchDocument
import DispatcherClient
import Foundation

struct VersionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "The version of this command and of the server it talks to.",
        discussion: "Where DATA_DISPATCHER_URL is set (and as `ddisp`): of the dispatcher.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        if CalledAs.now == .ddisp || environment["DATA_DISPATCHER_URL"] != nil && options.url == nil {
            let access = try DispatcherAccess(options)
            let server = try await access.client().version()
            let lines = [("URL", access.dataURL), ("version", server)].map { name, value in
                RuledTable.padded("Server \(name):", to: -15) + " " + value
            }
            return options.output.answer(
                ["url": .string(access.dataURL), "server": .string(server), "client": .string(ProductVersion.text)],
                lines + ["Client version: " + ProductVersion.text])
        }
        let info = try? await options.server().info()
        options.output.answer(
            ["tokenpool": .string(ProductVersion.text), "server": info.map { .string($0.summary) } ?? .null],
            ["tokenpool \(ProductVersion.text)", "server    \(info?.summary ?? "not reached")"])
    }
}
