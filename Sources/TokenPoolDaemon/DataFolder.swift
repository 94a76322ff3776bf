import CouchDocument
import CouchServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Why the daemon does not start, in one line for people.
struct StartRefusal: Error {
    let reason: String
}

/// The daemon's own files beside the databases: password, cookie secret and settings, readable by their owner only.
struct DataFolder: Sendable {
    let path: String

    /// Makes the folder when it is missing.
    init(path: String) throws(StartRefusal) {
        self.path = path
        if mkdir(path, 0o700) != 0 && errno != EEXIST {
            throw StartRefusal(reason: "can not make the folder \(path): \(Self.lastError); choose another --data")
        }
    }

    private static var lastError: String { String(cString: strerror(errno)) }

    /// The first line of a file that must be there.
    static func firstLine(of file: String) throws(StartRefusal) -> String {
        guard let text = try read(file) else { throw StartRefusal(reason: "there is no file \(file)") }
        let line = text.prefix { !$0.isNewline }
        if line.isEmpty { throw StartRefusal(reason: "the first line of \(file) is empty: write the password there") }
        return String(line)
    }

    /// The first line of a file in the folder, which is made with that line when it is missing.
    func line(of name: String, orMake make: () -> String) throws(StartRefusal) -> (line: String, isNew: Bool) {
        let file = "\(path)/\(name)"
        if try Self.read(file) != nil { return (try Self.firstLine(of: file), false) }
        let line = make()
        try Self.write(Array((line + "\n").utf8), to: file)
        return (line, true)
    }

    /// Random hex digits, enough that nobody guesses them.
    static func secret(byteCount: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return hexadecimal((0..<byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }

    /// The settings that were changed over HTTP, and from now on are kept in `settings.json`.
    func settings() throws(StartRefusal) -> Settings {
        let file = "\(path)/settings.json"
        var sections: Settings.Sections = [:]
        if let text = try Self.read(file) {
            guard let object = (try? JSON(parsing: text))?.objectValue else {
                throw StartRefusal(reason: "\(file) is no JSON object: repair or remove it")
            }
            for (section, keys) in object {
                for (key, value) in keys.objectValue ?? [:] { sections[section, default: [:]][key] = value.stringValue }
            }
        }
        return Settings(changed: sections) { sections in
            let object = sections.sorted { $0.key < $1.key }.map { section in
                let keys = section.value.sorted { $0.key < $1.key }.map { ($0.key, JSON.string($0.value)) }
                return (section.key, JSON.object(JSONObject(keys)))
            }
            try Self.write(Array((JSON.object(JSONObject(object)).prettyPrinted() + "\n").utf8), to: file)
        }
    }

    static func read(_ file: String) throws(StartRefusal) -> String? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        if descriptor < 0 {
            if errno == ENOENT { return nil }
            throw StartRefusal(reason: "can not read \(file): \(lastError)")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0 { throw StartRefusal(reason: "can not read \(file): \(lastError)") }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Writes beside the file first, so that nobody ever finds half of it.
    private static func write(_ bytes: [UInt8], to file: String) throws(StartRefusal) {
        let draft = file + ".new"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw StartRefusal(reason: "can not write \(draft): \(lastError)") }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count <= 0 {
                close(descriptor)
                throw StartRefusal(reason: "can not write \(draft): \(lastError)")
            }
            written += count
        }
        fsync(descriptor)
        close(descriptor)
        if rename(draft, file) != 0 { throw StartRefusal(reason: "can not write \(file): \(lastError)") }
    }
}
