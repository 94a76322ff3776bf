import CouchDocument

/// A tree as a plain table of parents, slow and evident.
struct NaiveTree {
    var parents: [Revision: Revision?] = [:]
    var deleted: Set<Revision> = []

    mutating func merge(_ path: [Revision], isDeleted: Bool) {
        let isNew = parents[path[0]] == nil
        for (index, revision) in path.enumerated() {
            let parent = index + 1 < path.count ? path[index + 1] : nil
            if let known = parents[revision] {
                if known != nil { break }
                parents[revision] = .some(parent)
            } else {
                parents[revision] = .some(parent)
            }
        }
        if isNew && isDeleted { deleted.insert(path[0]) }
    }

    var leaves: [Revision] {
        let inner = Set(parents.values.compactMap { $0 })
        return parents.keys.filter { !inner.contains($0) }.sorted { left, right in
            deleted.contains(left) != deleted.contains(right) ? deleted.contains(right) : left > right
        }
    }

    func path(_ revision: Revision) -> [Revision] {
        var path = [revision]
        while let last = path.last, let parent = parents[last] ?? nil { path.append(parent) }
        return path
    }

    mutating func stem(_ limit: Int) {
        let kept = Set(leaves.flatMap { path($0).prefix(limit) })
        parents = parents.filter { kept.contains($0.key) }.mapValues { $0.flatMap { kept.contains($0) ? $0 : nil } }
        // What was forgotten comes back, if it does, with what is said of it then.
        deleted.formIntersection(kept)
    }
}
