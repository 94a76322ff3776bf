#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// A file that could not be read or written.
public struct FileError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file.
    public let path: String
    /// What was attempted, such as `write`.
    public let operation: String
    /// The system's error number.
    public let number: Int32

    init(_ operation: String, _ path: String, _ number: Int32 = errno) {
        self.operation = operation
        self.path = path
        self.number = number
    }

    /// One line: what, on which file, why.
    public var description: String { "could not \(operation) \"\(path)\": \(String(cString: strerror(number)))" }
}

/// A file that takes its name only when it is complete; until then it goes when it is dropped.
struct TemporaryFile: ~Copyable {
    private let path: String
    private let temporary: String
    private var descriptor: Int32

    init(for path: String) throws {
        self.path = path
        var template = Array((path + ".XXXXXX").utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0 else { throw FileError("create a file beside", path) }
        temporary = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        // mkstemp makes files for their owner alone; a download is an ordinary file.
        let mask = umask(0)
        umask(mask)
        fchmod(descriptor, 0o666 & ~mask)
    }

    deinit {
        if descriptor >= 0 {
            close(descriptor)
            unlink(temporary)
        }
    }

    func write(_ bytes: [UInt8]) throws {
        try bytes.withUnsafeBytes { buffer in
            var rest = buffer[...]
            while !rest.isEmpty {
                let count = systemWrite(descriptor, UnsafeRawBufferPointer(rebasing: rest))
                if count < 0 && errno == EINTR { continue }
                guard count >= 0 else { throw FileError("write", temporary) }
                rest = rest.dropFirst(count)
            }
        }
    }

    /// Closes the file and gives it its name.
    mutating func commit() throws {
        let closed = close(descriptor)
        descriptor = -1
        guard closed == 0, rename(temporary, path) == 0 else {
            let number = errno
            unlink(temporary)
            throw FileError("complete", path, number)
        }
    }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    write(descriptor, bytes.baseAddress, bytes.count)
}
