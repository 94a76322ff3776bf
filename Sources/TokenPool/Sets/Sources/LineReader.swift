import Foundation

/// Reads a text file line by line, holding one piece of it at a time.
struct LineReader {
    /// The file as the user named it.
    let file: String
    /// The number of the line read last, from 1.
    private(set) var line = 0
    private let handle: FileHandle
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false

    /// Opens a file.
    ///
    /// - Parameter place: Where the configuration names it, for the error.
    init(path: String, file: String, place: ConfigurationPlace) throws {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ConfigurationError(place, "file \"\(file)\" does not exist (looked for \(path))")
        }
        guard !isFolder.boolValue else { throw ConfigurationError(place, "\"\(file)\" is a folder, not a file") }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            throw ConfigurationError(place, "file \"\(file)\" can not be read")
        }
        self.handle = handle
        self.file = file
    }

    /// The next line without its end (`\n`, `\r\n`); `nil` after the last.
    mutating func next() throws -> String? {
        guard var bytes = try nextBytes() else { return nil }
        line += 1
        if line == 1, bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes.removeFirst(3) }
        if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(ConfigurationPlace(file: file, line: line), "the line is not UTF-8 text")
        }
        return text
    }

    private mutating func nextBytes() throws -> [UInt8]? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return Array(buffer[position..<end])
            }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                return Array(buffer[position...])
            }
            buffer.removeFirst(position)
            position = 0
            searched = buffer.count
            do {
                let chunk = try handle.read(upToCount: 1 << 16)
                if let chunk, !chunk.isEmpty { buffer.append(contentsOf: chunk) } else { isAtEnd = true }
            } catch {
                throw ConfigurationError(
                    ConfigurationPlace(file: file), "reading failed: \(error.localizedDescription)")
            }
        }
    }
}

/// A file that a configuration names: as written there, and where it is.
struct NamedFile: Sendable {
    let name: String
    let path: String
    let place: ConfigurationPlace

    /// A name is relative to the folder of the file in which it is written.
    init(_ name: String, at place: ConfigurationPlace) {
        self.name = name
        self.place = place
        if name.hasPrefix("/") {
            path = name
        } else if name.hasPrefix("~/") {
            path = NSString(string: name).expandingTildeInPath
        } else {
            path = URL(filePath: place.file).deletingLastPathComponent().appending(path: name)
                .path(percentEncoded: false)
        }
    }

    /// A name that stands in no file, so it is relative to the current folder.
    init(_ name: String, sayingOf origin: String) {
        self.name = name
        place = ConfigurationPlace(file: origin)
        path = name
    }

    /// A file that is somewhere else than its name says.
    init(path: String, name: String) {
        self.name = name
        self.path = path
        place = ConfigurationPlace(file: name)
    }

    func lines() throws -> LineReader { try LineReader(path: path, file: name, place: place) }

    /// The whole content.
    func bytes(limit: Int = 64 << 20) throws -> [UInt8] {
        let size = try size()
        guard size <= limit else {
            throw ConfigurationError(place, "file \"\(name)\" has \(size) bytes; the limit is \(limit)")
        }
        do { return Array(try Data(contentsOf: URL(filePath: path))) } catch {
            throw ConfigurationError(place, "file \"\(name)\" can not be read: \(error.localizedDescription)")
        }
    }

    /// The size, after checking that it is a file that can be read.
    @discardableResult
    func size() throws -> Int {
        var isFolder: ObjCBool = false
        let manager = FileManager.default
        guard manager.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw ConfigurationError(place, "file \"\(name)\" does not exist (looked for \(path))")
        }
        guard !isFolder.boolValue else { throw ConfigurationError(place, "\"\(name)\" is a folder, not a file") }
        guard manager.isReadableFile(atPath: path) else {
            throw ConfigurationError(place, "file \"\(name)\" can not be read")
        }
        return try manager.attributesOfItem(atPath: path)[.size] as? Int ?? 0
    }
}
