import Glibc

/// The `git` of the machine, for cloning only.
enum GitCommand {
    /// Clones each repository, checks out its branch, then its commit, and removes its `.git`.
    static func clone(_ checkouts: [GitCheckout], into folder: String, cancellation: CancellationFlag) throws {
        try makeFolders(folder)
        for checkout in checkouts {
            try checkout.validate()
            let target = checkout.folder.map { "\(folder)/\($0)" } ?? folder
            if checkout.folder != nil { try makeFolders(target) }
            let what = "get \(checkout.summary)"
            // Without a commit only the newest state is needed. A branch may also be a tag: --branch takes both.
            let depth = checkout.commit == nil ? ["--depth", "1"] : []
            let branch = checkout.branch.map { ["--branch", $0] } ?? []
            // Into a folder of its own first, since git only clones into an empty one.
            let fresh = "\(target)/.tokenpool-clone"
            _ = try run(
                ["clone", "--quiet", "--recurse-submodules"] + depth + branch + ["--", checkout.url, fresh], what,
                cancellation)
            if let commit = checkout.commit {
                _ = try run(["-C", fresh, "checkout", "--quiet", "--detach", commit, "--"], what, cancellation)
                _ = try run(
                    ["-C", fresh, "submodule", "--quiet", "update", "--init", "--recursive"], what, cancellation)
            }
            for name in try folderNames(Array(fresh.utf8)) where name.shown != ".git" {
                let from = Array(fresh.utf8).appending(name)
                let to = Array(target.utf8).appending(name)
                guard FileStatus(bytes: to) == nil else {
                    throw SandboxError(.illFormed, "could not \(what): \(to.shown) comes from two repositories")
                }
                guard from.withPath({ old in to.withPath { rename(old, $0) } }) == 0 else {
                    throw systemError("move", from)
                }
            }
            try removeTree(fresh)
        }
    }

    /// The same checkouts with every branch replaced by the commit where it stands now.
    static func pinned(_ checkouts: [GitCheckout], cancellation: CancellationFlag) throws -> [GitCheckout] {
        try checkouts.map { checkout in
            guard checkout.commit == nil else { return checkout }
            let reference = checkout.branch ?? "HEAD"
            let answer = try run(
                ["ls-remote", "--exit-code", "--", checkout.url, reference], "find \(checkout.summary)", cancellation)
            // One "commit TAB name" a line; a branch comes before a tag of the same name, as clone takes it.
            let lines = answer.split(separator: "\n").map { $0.split(separator: "\t").map(String.init) }
            let wanted = [reference, "refs/heads/\(reference)", "refs/tags/\(reference)^{}", "refs/tags/\(reference)"]
            for name in wanted {
                if let line = lines.first(where: { $0.count == 2 && $0[1] == name }) {
                    var pinned = checkout
                    pinned.commit = line[0]
                    return pinned
                }
            }
            throw SandboxError(.missing, "\(checkout.url.withoutUserInformation) has no branch or tag \(reference)")
        }
    }

    /// Runs git and answers its output.
    private static func run(_ arguments: [String], _ what: String, _ cancellation: CancellationFlag) throws -> String {
        let output = try temporaryFile()
        let errors = try temporaryFile()
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output.descriptor, 1)
        posix_spawn_file_actions_adddup2(&actions, errors.descriptor, 2)
        // Never ask a terminal for a password; commit dates and hooks of the person play no part in a clone.
        let added = ["GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "LC_ALL=C"]
        let names = Set(added.map { $0.prefix { $0 != "=" } } + ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
        let environment = currentEnvironment().filter { !names.contains($0.prefix { $0 != "=" }) } + added
        var pid = pid_t()
        let command = ["git", "-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"] + arguments
        let status = withCStrings(command) { argv in
            withCStrings(environment) { variables in
                SpawnGate.starting { posix_spawnp(&pid, "git", &actions, nil, argv, variables) }
            }
        }
        guard status == 0 else {
            throw SandboxError(
                .failed, "could not \(what): the command git could not be started: \(String(cString: strerror(status)))"
            )
        }
        let child = pid
        var result: CInt = 0
        let waited = cancellation.withHandler({ kill(child, SIGTERM) }) {
            while true {
                let answer = waitpid(child, &result, 0)
                if answer >= 0 || errno != EINTR { return answer }
            }
        }
        try cancellation.check()
        guard waited == child, result == 0 else {
            let text = try contents(errors).split(separator: "\n").map(String.init)
            let line = text.first { $0.hasPrefix("fatal:") || $0.hasPrefix("error:") } ?? text.last
            throw SandboxError(
                .failed,
                "could not \(what): git says: \(line?.withoutUserInformation ?? "nothing, status \(result >> 8)")")
        }
        return try contents(output)
    }

    private static func temporaryFile() throws -> OpenFile {
        var name = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/tokenpool-git-XXXXXX".utf8CString)
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { throw systemError("make", "a temporary file") }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unlink(name)
        return OpenFile(descriptor: descriptor, path: "git's output")
    }

    private static func contents(_ file: OpenFile) throws -> String {
        lseek(file.descriptor, 0, SEEK_SET)
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 14)
        while case let count = try file.read(into: &buffer), count > 0 { text += buffer[..<count] }
        return String(decoding: text, as: UTF8.self)
    }

    private static func currentEnvironment() -> [String] {
        var values: [String] = []
        var pointer = environ
        while let text = pointer.pointee {
            values.append(String(cString: text))
            pointer += 1
        }
        return values
    }

    private static func withCStrings<Result>(
        _ texts: [String], _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        return pointers.withUnsafeMutableBufferPointer { body($0.baseAddress!) }
    }
}
