import Glibc

/// A file descriptor that closes itself.
final class OpenFile: Sendable {
    let descriptor: CInt
    let path: String

    init(reading path: String) throws {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("read", path) }
    }

    init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// The number of bytes that came; 0 at the end.
    func read(into buffer: inout [UInt8]) throws -> Int {
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return count }
            if errno != EINTR { throw systemError("read", path) }
        }
    }
}

/// Makes a folder and those above it.
func makeFolders(_ path: String, mode: mode_t = 0o755) throws {
    if mkdir(path, mode) == 0 || (errno == EEXIST && FileStatus.isFolder(path)) { return }
    guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
        throw systemError("make the folder", path)
    }
    try makeFolders(String(path[..<slash]), mode: mode)
    guard mkdir(path, mode) == 0 || errno == EEXIST else { throw systemError("make the folder", path) }
}

/// Removes a file or a folder with all that is in it; links are removed, not followed. Nothing there is fine.
package func removeTree(_ path: String) throws { try removeTree(bytes: Array(path.utf8)) }

func removeTree(bytes path: [UInt8]) throws {
    guard let status = FileStatus(bytes: path) else { return }
    guard status.kind == .folder else {
        guard path.withPath({ unlink($0) }) == 0 || errno == ENOENT else { throw systemError("remove", path) }
        return
    }
    if status.mode & 0o700 != 0o700 { _ = path.withPath { chmod($0, 0o700) } }
    for name in try folderNames(path) { try removeTree(bytes: path.appending(name)) }
    guard path.withPath({ rmdir($0) }) == 0 || errno == ENOENT else { throw systemError("remove the folder", path) }
}

/// The names in a folder, in byte order.
func folderNames(_ path: [UInt8]) throws -> [[UInt8]] {
    guard let stream = path.withPath({ opendir($0) }) else { throw systemError("list the folder", path) }
    defer { closedir(stream) }
    var names: [[UInt8]] = []
    while true {
        errno = 0
        guard let entry = readdir(stream) else {
            if errno != 0 { throw systemError("list the folder", path) }
            break
        }
        let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
        if name != [0x2E] && name != [0x2E, 0x2E] { names.append(name) }
    }
    return names.sorted { $0.lexicographicallyPrecedes($1) }
}

/// The absolute path with every link resolved.
func resolved(_ path: String) throws -> String {
    guard let result = realpath(path, nil) else { throw systemError("find", path) }
    defer { free(result) }
    return String(cString: result)
}

/// A new folder for a short time, for this person alone.
package func makeTemporaryFolder() throws -> String {
    var name = Array("\(getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp")/tokenpool-XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { throw systemError("make a folder in", "the folder for temporary files") }
    return name.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
}
