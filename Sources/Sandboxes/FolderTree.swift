import Glibc

/// Everything below a folder, in byte order of the paths: folders before what they hold.
struct FolderTree {
    struct Entry {
        /// The path below the root, without a slash before it.
        let path: [UInt8]
        let status: FileStatus
        /// Where a link points.
        let target: [UInt8]?
    }

    let root: [UInt8]
    private(set) var entries: [Entry] = []

    /// Lists the folder; links are listed, not followed.
    ///
    /// - Parameter isLeftOut: Asked for every path; what it leaves out is not entered either.
    init(
        _ root: [UInt8], cancellation: CancellationFlag? = nil,
        isLeftOut: (_ path: [UInt8], _ isFolder: Bool) -> Bool = { _, _ in false }
    ) throws {
        self.root = root
        var open: [[UInt8]] = [[]]
        while let folder = open.popLast() {
            try cancellation?.check()
            var folders: [[UInt8]] = []
            for name in try folderNames(folder.isEmpty ? root : root.appending(folder)) {
                let path = folder.appending(name)
                let full = root.appending(path)
                // Gone since the listing: as if it had never been there.
                guard let status = FileStatus(bytes: full), !isLeftOut(path, status.kind == .folder) else { continue }
                entries.append(Entry(path: path, status: status, target: status.kind == .link ? full.linkTarget : nil))
                if status.kind == .folder { folders.append(path) }
            }
            open += folders.reversed()
        }
        entries.sort { $0.path.lexicographicallyPrecedes($1.path) }
    }
}

/// Where symbolic links lead, without following them by the system.
enum LinkCheck {
    /// Whether a link at `path` (below `root`) with that target stays within the root, however many other links and
    /// `..` lie on the way. A target that does not exist counts by its place.
    static func staysInside(root: [UInt8], path: [UInt8], target: [UInt8]) -> Bool {
        let parent = segments(path).dropLast()
        var hops = 0
        return walk(root: root, from: Array(parent), target, &hops) != nil
    }

    private static func segments(_ path: [UInt8]) -> [[UInt8]] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [0x2E] }
    }

    /// The place reached, `nil` once the way leaves the root or turns in circles.
    private static func walk(root: [UInt8], from start: [[UInt8]], _ target: [UInt8], _ hops: inout Int) -> [[UInt8]]? {
        hops += 1
        guard hops <= 40, target.first != UInt8(ascii: "/"), !target.isEmpty else { return nil }
        var place = start
        for segment in segments(target) {
            if segment == [0x2E, 0x2E] {
                guard !place.isEmpty else { return nil }
                place.removeLast()
                continue
            }
            let next = place + [segment]
            let full = root.appending(Array(next.joined(separator: [UInt8(ascii: "/")])))
            if FileStatus(bytes: full)?.kind == .link, let further = full.linkTarget {
                guard let reached = walk(root: root, from: place, further, &hops) else { return nil }
                place = reached
            } else {
                place = next
            }
        }
        return place
    }
}
