#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension StoreError {
    /// What `errno` says of a call that failed on a file.
    static func system(_ attempt: String, _ path: String) -> StoreError {
        let number = errno
        let text = "could not \(attempt) \(path): \(String(cString: strerror(number)))"
        switch number {
        case ENOSPC, EDQUOT, EFBIG: return StoreError(.full, text + ": make room, then try again")
        case EROFS, EACCES, EPERM: return StoreError(.readOnly, text + ": make the data folder writable")
        default: return StoreError(.failed, text)
        }
    }
}

/// The names in a folder, in no order; none when there is no such folder.
func namesInFolder(_ folder: String) throws -> [String] {
    guard let stream = opendir(folder) else {
        if errno == ENOENT { return [] }
        throw StoreError.system("read", folder)
    }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != "." && name != ".." { names.append(name) }
    }
    return names
}

/// The size of a file; 0 when there is none.
func fileSize(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
}

/// Reads pairs of hex digits; `nil` when they are none.
func bytes(hexadecimal text: some StringProtocol) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count % 2 == 0 else { return nil }
    var result: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
        guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else {
            return nil
        }
        result.append(byte)
    }
    return result
}

/// Removes a folder with the files in it, which has no folders in it. One that is gone already is fine.
func removeFolder(_ folder: String) throws {
    for name in try namesInFolder(folder) where unlink("\(folder)/\(name)") != 0 && errno != ENOENT {
        throw StoreError.system("remove", "\(folder)/\(name)")
    }
    if rmdir(folder) != 0 && errno != ENOENT { throw StoreError.system("remove", folder) }
}

/// Makes new names in a folder survive a power cut.
func synchronizeFolder(_ folder: String) throws {
    let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreError.system("open", folder) }
    defer { close(descriptor) }
    if fsync(descriptor) != 0 { throw StoreError.system("synchronise", folder) }
}

/// Makes a folder and those above it.
func makeFolder(_ path: String) throws {
    var missing: [String] = []
    var current = path
    while access(current, F_OK) != 0 {
        missing.append(current)
        guard let slash = current.lastIndex(of: "/"), slash != current.startIndex else { break }
        current = String(current[..<slash])
    }
    for folder in missing.reversed() where mkdir(folder, 0o755) != 0 && errno != EEXIST {
        throw StoreError.system("make", folder)
    }
}

/// Makes a file's bytes survive a power cut.
func synchronizeFile(_ path: String) throws {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw StoreError.system("open", path) }
    defer { close(descriptor) }
    if fsync(descriptor) != 0 { throw StoreError.system("synchronise", path) }
}

/// Copies a file with its permissions to a name that is not there yet; returns when it is on disk, with its size.
func copyFile(_ path: String, to target: String) throws -> Int {
    let from = open(path, O_RDONLY | O_CLOEXEC)
    guard from >= 0 else { throw StoreError.system("open", path) }
    defer { close(from) }
    var status = stat()
    guard fstat(from, &status) == 0 else { throw StoreError.system("read", path) }
    let to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0o777)
    guard to >= 0 else { throw StoreError.system("make", target) }
    defer { close(to) }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var size = 0
    while true {
        let count = read(from, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw StoreError.system("read", path) }
        if count == 0 { break }
        var written = 0
        while written < count {
            let step = buffer.withUnsafeBytes { write(to, $0.baseAddress! + written, count - written) }
            if step < 0 && errno == EINTR { continue }
            guard step > 0 else { throw StoreError.system("write", target) }
            written += step
        }
        size += count
    }
    guard fsync(to) == 0 else { throw StoreError.system("synchronise", target) }
    return size
}

/// Removes a folder and everything below it. One that is gone already is fine.
func removeTree(_ folder: String) throws {
    for name in try namesInFolder(folder) {
        let path = "\(folder)/\(name)"
        var status = stat()
        guard lstat(path, &status) == 0 else { throw StoreError.system("read", path) }
        if status.st_mode & S_IFMT == S_IFDIR {
            try removeTree(path)
        } else if unlink(path) != 0 && errno != ENOENT {
            throw StoreError.system("remove", path)
        }
    }
    if rmdir(folder) != 0 && errno != ENOENT { throw StoreError.system("remove", folder) }
}
