/// What `.tokenpoolignore` keeps out of a sandbox: patterns as in `.gitignore`, one a line, the last that fits decides.
///
/// `#` begins a comment, `!` takes something in again, a slash at the end means folders only, and a pattern without any
/// other slash holds at every depth.
struct IgnoreRules {
    static let fileName = ".tokenpoolignore"

    private struct Rule {
        let pattern: GlobPattern
        let foldersOnly: Bool
        let takesIn: Bool
    }

    private var rules: [Rule] = []

    init(_ text: String) throws {
        for line in text.split(whereSeparator: \.isNewline) {
            var pattern = String(line)
            while pattern.hasSuffix(" ") || pattern.hasSuffix("\t") { pattern.removeLast() }
            if pattern.isEmpty || pattern.hasPrefix("#") { continue }
            let takesIn = pattern.hasPrefix("!")
            if takesIn { pattern.removeFirst() }
            let foldersOnly = pattern.hasSuffix("/")
            while pattern.hasSuffix("/") { pattern.removeLast() }
            if pattern.hasPrefix("/") {
                pattern.removeFirst()
            } else if !pattern.contains("/") {
                pattern = "**/" + pattern
            }
            rules.append(
                Rule(pattern: try GlobPattern(pattern, matchesHidden: true), foldersOnly: foldersOnly, takesIn: takesIn)
            )
        }
    }

    /// git's own folders and the rules themselves never travel.
    func leavesOut(_ path: [UInt8], isFolder: Bool) -> Bool {
        let text = String(decoding: path, as: UTF8.self)
        let name = text.split(separator: "/").last ?? ""
        if name == ".git" || text == Self.fileName { return true }
        let rule = rules.last { (isFolder || !$0.foldersOnly) && $0.pattern.matches(text) }
        return rule.map { !$0.takesIn } ?? false
    }
}
