import ArgumentParser

struct ProjectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "project", abstract: "Projects of files for workers of the dispatcher.",
        subcommands: [
            ProjectCreateCommand.self, ProjectCopyCommand.self, ProjectShowCommand.self, ProjectListCommand.self,
            ProjectSearchCommand.self, ProjectRestartCommand.self, ProjectActivateCommand.self,
            ProjectCancelCommand.self, ProjectDeleteCommand.self,
        ])
}

/// How a new project is printed.
enum ProjectFormat: String, ExpressibleByArgument, CaseIterable {
    case id, json, pprint
}
