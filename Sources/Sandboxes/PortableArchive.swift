/// A folder as one file and back.
package enum PortableArchive {
    /// Packs a folder into a `tar.gz`; it appears under its name when it is whole.
    package static func pack(_ folder: String, to path: String) async throws {
        _ = try await SandboxBuilder.build(folder: folder, to: path)
    }

    /// Unpacks a tar or zip archive into a folder that exists. Nothing in it can leave the folder.
    package static func unpack(_ archive: String, into folder: String) async throws {
        try await onOwnThread { flag in
            _ = try Unpacker.unpack(
                archive, into: folder, limits: UnpackLimits(bytes: .max, entries: .max), cancellation: flag)
        }
    }
}
