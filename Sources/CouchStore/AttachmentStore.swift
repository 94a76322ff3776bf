import CouchDocument
import Dispatch

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Large contents of one database: a file each, named by digest and length, in a folder of their own.
///
/// Files are read and written on threads of its own.
final class AttachmentStore: Sendable {
    /// Contents up to this size stand in the database file, where one commit makes many of them durable.
    static let largestInDatabase = 256 * 1024

    let folder: String
    private let threads = DispatchQueue(label: "store.attachments", qos: .userInitiated, attributes: .concurrent)

    init(folder: String) { self.folder = folder }

    /// Runs blocking file work off the caller's thread.
    func perform<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            threads.async { continuation.resume(with: Result { try body() }) }
        }
    }

    func path(md5: [UInt8], length: Int) -> String { "\(folder)/\(hexadecimal(md5))-\(length)" }

    /// Gives an uploaded file its lasting name. The bytes were synchronised before; the name is here.
    func adopt(_ file: UploadedFile, md5: [UInt8], length: Int) throws {
        let path = path(md5: md5, length: length)
        if access(path, F_OK) != 0 { try file.move(to: path) }
        try synchronizeFolder(folder)
    }

    /// What the name of a content's file says.
    struct ContentFile: Sendable {
        let md5: [UInt8]
        let length: Int
    }

    /// All files that hold contents; other names are left out.
    func contentFiles() throws -> [ContentFile] {
        try namesInFolder(folder).compactMap { name in
            let parts = name.split(separator: "-")
            guard parts.count == 2, let length = Int(parts[1]), let md5 = bytes(hexadecimal: parts[0]), md5.count == 16
            else { return nil }
            return ContentFile(md5: md5, length: length)
        }
    }

    /// Removes uploads that a process left behind when it was killed. To be called before there are new ones.
    func removeAbandonedUploads() throws {
        for name in try namesInFolder(folder) where name.hasPrefix("upload-") { try remove("\(folder)/\(name)") }
    }

    /// Removes the file of a content that nobody uses any more. One that is gone already is fine.
    func remove(_ path: String) throws {
        if unlink(path) != 0 && errno != ENOENT { throw StoreError.system("remove", path) }
    }
}

/// A file of bytes that no document names yet; removed when nobody holds it any more.
final class UploadedFile: Sendable {
    let path: String

    init(path: String) { self.path = path }

    deinit { unlink(path) }

    /// Renames it. After that nothing is left to remove.
    func move(to target: String) throws {
        if rename(path, target) != 0 { throw StoreError.system("rename \(path) to", target) }
    }
}
