import CouchDocument
import TokenPool

extension RSE {
    /// The path of a replica by which the storage's tape interface knows it.
    ///
    /// A path that a catalogue gives is taken as it is. Otherwise it is that of the URL, with single slashes, without the
    /// prefix to remove and with the one to add.
    package func tapePath(of replica: Replica) -> String? {
        if let path = replica.path, !path.isEmpty { return path }
        guard var path = WebAddress.split(replica.url)?.path else { return nil }
        // A `?` belongs to the path in URLs of xrootd and srm as people write them only rarely: it ends it.
        path = String(path.prefix { $0 != "?" })
        var squeezed = ""
        for character in path where character != "/" || squeezed.last != "/" { squeezed.append(character) }
        let remove = document["remove_prefix"]?.stringValue ?? ""
        if !remove.isEmpty, squeezed.hasPrefix(remove) { squeezed.removeFirst(remove.count) }
        let added = (document["add_prefix"]?.stringValue ?? "") + squeezed
        return added.isEmpty ? nil : added
    }

    /// What a tape interface puts before paths by itself.
    package var pinPrefix: String { document["pin_prefix"]?.stringValue ?? "" }
    /// Where the native interface takes requests.
    package var pinURL: String? { document["pin_url"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } }
    /// Where the native interface tells where files are.
    package var pollURL: String? { document["poll_url"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 } }
}
