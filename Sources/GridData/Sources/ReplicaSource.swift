import TokenPool

/// Somebody who knows where replicas of files are.
package protocol ReplicaSource: Sendable {
    /// Its name, by which its replicas are known again.
    var name: String { get }
    /// Files that are asked for in one call.
    var batchSize: Int { get }

    /// The replicas of files.
    ///
    /// - Parameters:
    ///   - files: At most ``batchSize``, none twice.
    ///   - schemes: Only URLs of these schemes, in this order, where there is a choice; none takes all.
    /// - Returns: Files with all their replicas. A file that is missing is one of which nothing is known now: not that it
    ///   has none, which is an empty list.
    /// - Throws: When there is no answer, or not the whole of it.
    func replicas(of files: [DID], schemes: [String]) async throws -> [DID: [Replica]]

    /// The storage elements that it knows.
    func rses() async throws -> [SourceRSE]
}

/// A storage element as a source knows it.
package struct SourceRSE: Hashable, Sendable {
    /// Its name.
    package var name: String
    /// Whether its files are on tape.
    package var isTape: Bool
    /// Whether it is enabled from the beginning where nobody knows it yet: somebody named it in a configuration.
    package var isEnabled: Bool

    /// A storage element of that name.
    package init(name: String, isTape: Bool = false, isEnabled: Bool = false) {
        self.name = name
        self.isTape = isTape
        self.isEnabled = isEnabled
    }
}

extension ReplicaSource {
    /// The URLs of a replica at a place, in the order of the schemes. `nil` when none is left.
    func replica(at rse: String, _ urls: [String], schemes: [String]) -> Replica? {
        var left: [String] = []
        for url in urls.map(Self.withRootedPath) where !left.contains(url) { left.append(url) }
        if !schemes.isEmpty {
            left = schemes.flatMap { scheme in left.filter { $0.lowercased().hasPrefix(scheme.lowercased() + "://") } }
        }
        guard let best = left.first else { return nil }
        var replica = Replica(rse: rse, url: best, urls: left)
        replica.source = name
        return replica
    }

    /// XRootD takes a path with one slash for a relative one: such URLs get two, as Data Dispatcher has them.
    private static func withRootedPath(_ url: String) -> String {
        guard url.hasPrefix("root://") || url.hasPrefix("xroot://"), let scheme = url.firstRange(of: "://")?.upperBound,
            let slash = url[scheme...].firstIndex(of: "/")
        else { return url }
        let path = url[slash...].drop { $0 == "/" }
        return url[..<slash] + "//" + path
    }
}
