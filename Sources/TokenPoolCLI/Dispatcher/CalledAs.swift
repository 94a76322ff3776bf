import Foundation

/// Under which name the program was started: a link named `ddisp` makes it Data Dispatcher's command.
enum CalledAs: String {
    case tokenpool, ddisp

    static let now: CalledAs = {
        let name = CommandLine.arguments.first.map { URL(filePath: $0).lastPathComponent } ?? ""
        return CalledAs(rawValue: name) ?? .tokenpool
    }()
}
