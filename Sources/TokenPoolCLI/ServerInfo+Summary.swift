import CouchDB

extension ServerInfo {
    /// What answers there, in a few words.
    var summary: String { "CouchDB \(version)" + (vendor.map { " (\($0))" } ?? "") }
}
