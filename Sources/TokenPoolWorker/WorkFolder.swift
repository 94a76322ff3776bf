import Glibc

/// The folder of one try: `<base>/<token's id made safe>-<lease id>`, and its logs beside it.
struct WorkFolder: Sendable {
    /// Where the command runs.
    let path: String

    /// The folder for a token under a lease.
    init(base: String, tokenID: String, lease: String) {
        path = "\(base)/\(Self.safeName(tokenID))-\(lease)"
    }

    var outputPath: String { path + ".out" }
    var errorPath: String { path + ".err" }

    /// A file's path within.
    func file(_ name: String) -> String { path + "/" + name }

    func create() throws {
        guard mkdir(path, 0o755) == 0 else { throw FileFailure("creating", path) }
    }

    /// Writes a file within; slashes in the name become folders.
    func write(_ bytes: [UInt8], to name: String) throws {
        let target = file(name)
        let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileFailure("creating", target) }
        defer { close(descriptor) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileFailure("writing", target) }
            rest = rest.dropFirst(count)
        }
    }

    /// Where an attachment goes: its name, with what would lead out of the folder made harmless.
    static func fileName(ofAttachment name: String) -> String {
        let parts = name.split(separator: "/").filter { $0 != "." }.map { $0 == ".." ? "__" : String($0) }
        let joined = parts.map { $0.replacing(0, with: "_") }.joined(separator: "/")
        return joined.isEmpty ? "attachment" : joined
    }

    /// Makes the folders that a file within needs.
    func makeFolders(for name: String) throws {
        var path = path
        for part in name.split(separator: "/").dropLast() {
            path += "/" + part
            guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw FileFailure("creating", path) }
        }
    }

    /// Removes the folder, the logs beside it and everything in them. What can not be removed stays.
    ///
    /// - Parameter withLogs: Whether the logs are there still.
    ///
    /// - Returns: Whether all is gone.
    func remove(withLogs: Bool = true) -> Bool {
        if withLogs {
            unlink(outputPath)
            unlink(errorPath)
        }
        unlink(file("token.json"))
        if rmdir(path) == 0 { return true }
        if errno == ENOTEMPTY { Self.removeTree(path) }
        return access(path, F_OK) != 0
    }

    private static func removeTree(_ path: String) {
        if let folder = opendir(path) {
            while let entry = readdir(folder) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) {
                    $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard name != ".", name != ".." else { continue }
                let child = path + "/" + name
                // A link is removed, not followed.
                if unlink(child) != 0 && (errno == EISDIR || errno == EPERM) { removeTree(child) }
            }
            closedir(folder)
        } else if errno == EACCES, chmod(path, 0o700) == 0, let folder = opendir(path) {
            closedir(folder)
            return removeTree(path)
        }
        if rmdir(path) != 0 && (errno == EACCES || errno == ENOTEMPTY) { chmod(path, 0o700) }
    }

    /// An id as part of a file name: letters, digits and `._-` of ASCII stay, others become `_`; at most 80 characters.
    static func safeName(_ id: String) -> String {
        var name = String(
            id.prefix(80).map { character in
                character.isASCII && (character.isLetter || character.isNumber || "._-".contains(character))
                    ? character : "_"
            })
        if name.hasPrefix(".") { name = "_" + name.dropFirst() }
        return name.isEmpty ? "token" : name
    }
}

extension String {
    fileprivate func replacing(_ scalar: UInt8, with other: Character) -> String {
        String(map { $0.asciiValue == scalar ? other : $0 })
    }
}
