import CouchDocument
import Foundation

/// One token a file that matches a pattern, in the order of their paths.
struct FilesSource: TokenSource {
    let patterns: [NamedFile]

    var defaultName: String { "{file}" }
    var valueNames: [String]? { ["path", "file", "stem", "extension", "folder", "size"] }

    func rows() throws -> () throws -> SourceRow? {
        var paths: [String] = []
        for pattern in patterns {
            let found: [String]
            do { found = try Glob.files(matching: pattern.path) } catch {
                throw ConfigurationError(
                    pattern.place, "\"\(pattern.name)\" can not be looked up: \(error.localizedDescription)")
            }
            guard !found.isEmpty else {
                throw ConfigurationError(
                    pattern.place, "no file matches \"\(pattern.name)\" (looked for \(pattern.path))")
            }
            paths += found
        }
        if patterns.count > 1 { paths = Array(Set(paths)) }
        paths.sort()
        var index = 0
        return {
            guard index < paths.count else { return nil }
            defer { index += 1 }
            let url = URL(filePath: paths[index])
            let size = try FileManager.default.attributesOfItem(atPath: paths[index])[.size] as? Int ?? 0
            return SourceRow(
                values: [
                    "path": .string(paths[index]), "file": .string(url.lastPathComponent),
                    "stem": .string(url.deletingPathExtension().lastPathComponent),
                    "extension": .string(url.pathExtension),
                    "folder": .string(url.deletingLastPathComponent().path(percentEncoded: false)),
                    "size": .integer(size),
                ], place: paths[index])
        }
    }
}

/// File names by pattern: `*`, `?`, `[a-z]` within a name, `**` for any folders in between. Hidden files only when the
/// pattern names the dot.
enum Glob {
    static func files(matching pattern: String) throws -> [String] {
        var folders = [pattern.hasPrefix("/") ? "/" : "."]
        let parts = pattern.split(separator: "/").map(String.init)
        let manager = FileManager.default
        func isFolder(_ path: String) -> Bool {
            var flag: ObjCBool = false
            return manager.fileExists(atPath: path, isDirectory: &flag) && flag.boolValue
        }
        func join(_ folder: String, _ name: String) -> String {
            folder == "/" ? "/" + name : folder == "." ? name : folder + "/" + name
        }
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            var next: [String] = []
            for folder in folders {
                if part == "**" {
                    next.append(folder)
                    guard isFolder(folder) else { continue }
                    for path in try manager.subpathsOfDirectory(atPath: folder) {
                        let isHidden = path.split(separator: "/").contains { $0.hasPrefix(".") }
                        let full = join(folder, path)
                        if !isHidden && isFolder(full) != isLast { next.append(full) }
                    }
                } else if part.contains(where: { "*?[".contains($0) }) {
                    guard isFolder(folder) else { continue }
                    for name in try manager.contentsOfDirectory(atPath: folder)
                    where fnmatch(part, name, FNM_PERIOD) == 0 {
                        next.append(join(folder, name))
                    }
                } else if manager.fileExists(atPath: join(folder, part)) {
                    next.append(join(folder, part))
                }
            }
            folders = next
        }
        return Set(folders.filter { !isFolder($0) }).sorted()
    }
}
