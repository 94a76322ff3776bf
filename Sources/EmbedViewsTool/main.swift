// EmbedViewsTool VIEWS OUTPUT: writes every file below VIEWS into a Swift source file as a path and its text.
import Foundation

let arguments = CommandLine.arguments
guard arguments.count == 3 else {
    FileHandle.standardError.write(Data("usage: EmbedViewsTool VIEWS OUTPUT\n".utf8))
    exit(2)
}
let root = URL(filePath: arguments[1], directoryHint: .isDirectory)
var paths: [String] = []
for path in try FileManager.default.subpathsOfDirectory(atPath: root.path(percentEncoded: false)) {
    var isFolder: ObjCBool = false
    let file = root.appending(path: path).path(percentEncoded: false)
    let isHidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
    if FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue, !isHidden {
        paths.append(path)
    }
}
var source = """
    // Made from the files of Views by EmbedViewsTool.
    enum EmbeddedViews {
        static let files: [(path: String, text: String)] = [

    """
for path in paths.sorted() {
    let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
    source += "        (\(path.debugDescription), \(text.debugDescription)),\n"
}
source += "    ]\n}\n"
try Data(source.utf8).write(to: URL(filePath: arguments[2]), options: .atomic)
