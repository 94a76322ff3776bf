import CouchDocument
import DispatcherClient

/// The files of a project as people see them.
enum HandleTable {
    /// - Parameter showsReplicas: Whether each file's replicas stand below it.
    static func lines(_ handles: [JSONObject], showsReplicas: Bool) -> [String] {
        var table = RuledTable([
            .init("Status"), .init("Available"), .init("Replicas"), .init("Attempts"), .init("Timeouts"),
            .init("Worker"), .init("File" + (showsReplicas ? " / RSE, avlbl, URL" : ""), isLeft: true),
        ])
        for file in handles.map(File.init).sorted(by: File.comesFirst) {
            let handle = file.handle
            table.add([
                file.state, file.readable > 0 ? "yes" : "no",
                RuledTable.padded("\(file.readable)", to: 4) + "/"
                    + RuledTable.padded("\(file.replicas.count)", to: -4),
                "\(file.attempts)", PythonText.plain(handle["attributes"]?["timeouts"] ?? 0),
                handle["worker_id"]?.stringValue ?? "-", handle.did,
            ])
            guard showsReplicas else { continue }
            for replica in file.replicas.sorted(by: { $0.number("preference") < $1.number("preference") }) {
                let name = RuledTable.padded(replica.text("rse"), to: -10)
                let isAvailable = RuledTable.padded(replica.flag("available") ? "yes" : "no", to: -3)
                table.add(["", "", "", "", "", "", " \(name) \(isAvailable) \(replica.text("url"))"])
            }
        }
        return table.lines
    }

    private struct File {
        let handle: JSONObject
        let state: String
        let attempts: Int
        let replicas: [JSONObject]
        /// How many replicas can be read now.
        let readable: Int

        init(_ handle: JSONObject) {
            self.handle = handle
            state = handle.text("state")
            attempts = handle["attempts"]?.intValue ?? 0
            replicas = handle.replicas
            readable = replicas.count { $0.flag("available") && $0.flag("rse_available") }
        }

        private static let states = ["initial", "reserved", "done", "failed"]

        /// Readable ones first; then by state, attempts, namespace and name.
        static func comesFirst(_ left: File, _ right: File) -> Bool {
            func key(_ file: File) -> (Int, Int, Int) {
                (file.readable > 0 ? 0 : 1, states.firstIndex(of: file.state) ?? states.count, file.attempts)
            }
            if key(left) != key(right) { return key(left) < key(right) }
            for name in ["namespace", "name"] {
                let (one, other) = (left.handle.text(name), right.handle.text(name))
                if one != other { return one.unicodeScalars.lexicographicallyPrecedes(other.unicodeScalars) }
            }
            return false
        }
    }
}

extension JSONObject {
    /// A text that may be missing or null.
    func text(_ name: String) -> String { self[name]?.stringValue ?? "" }
    func flag(_ name: String) -> Bool { self[name]?.boolValue ?? false }
    func number(_ name: String) -> Double { self[name]?.numberValue ?? 1_000_000 }

    /// The replicas of a file handle, each with the name of its storage element.
    var replicas: [JSONObject] {
        guard let replicas = self["replicas"]?.objectValue else { return [] }
        return replicas.compactMap { name, value in
            guard var replica = value.objectValue else { return nil }
            replica["rse"] = .string(name)
            return replica
        }
    }
}
