import CouchDocument

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// `store.json`: who the store is and how its folder is laid out.
struct StoreFile {
    /// The layout that this program writes.
    static let format = 1

    let uuid: String

    /// Reads the file, or makes it for a new folder.
    init(folder: String) throws {
        let path = folder + "/store.json"
        guard access(path, F_OK) == 0 else {
            uuid = Self.newIdentifier()
            try Self.write(["uuid": .string(uuid), "format": .integer(Self.format)], path: path, folder: folder)
            return
        }
        let file = try OpenFile(path: path)
        let fields = (try? JSON(parsing: try file.read(0..<fileSize(path))))?.objectValue
        guard let uuid = fields?["uuid"]?.stringValue, let format = fields?["format"]?.intValue else {
            throw StoreError(.failed, "\(path) is damaged: write {\"uuid\":\"<32 hex digits>\",\"format\":1} into it")
        }
        guard format <= Self.format else {
            throw StoreError(.failed, "\(folder) was written by a later version of tokenpool: use that version")
        }
        self.uuid = uuid
    }

    /// 32 random hex digits.
    static func newIdentifier() -> String { hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255) }) }

    /// Writes under another name first, so that a crash leaves the whole file or none.
    private static func write(_ fields: JSONObject, path: String, folder: String) throws {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StoreError.system("make", temporary) }
        defer { close(descriptor) }
        let bytes = Array((fields.description + "\n").utf8)
        guard pwrite(descriptor, bytes, bytes.count, 0) == bytes.count, fsync(descriptor) == 0 else {
            throw StoreError.system("write", temporary)
        }
        guard rename(temporary, path) == 0 else { throw StoreError.system("rename \(temporary) to", path) }
        try synchronizeFolder(folder)
    }
}
