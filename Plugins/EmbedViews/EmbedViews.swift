import Foundation
import PackagePlugin

/// Turns the files of the package's `Views` folder into Swift source of the target that uses it.
@main
struct EmbedViews: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let views = context.package.directoryURL.appending(path: "Views")
        let output = context.pluginWorkDirectoryURL.appending(path: "EmbeddedViews.swift")
        // Hidden files are what editors and file managers leave behind.
        let files =
            FileManager.default.enumerator(at: views, includingPropertiesForKeys: nil, options: .skipsHiddenFiles)?
            .compactMap { ($0 as? URL)?.hasDirectoryPath == false ? $0 as? URL : nil } ?? []
        return [
            .buildCommand(
                displayName: "Embedding the design documents of Views",
                executable: try context.tool(named: "EmbedViewsTool").url,
                arguments: [views.path(percentEncoded: false), output.path(percentEncoded: false)],
                inputFiles: files, outputFiles: [output])
        ]
    }
}
