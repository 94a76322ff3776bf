import CouchDocument
import Foundation

/// After which row of an index a query goes on. Clients get it as a text that they send back.
struct FindBookmark: Sendable {
    /// The key of the row; for the index of ids, the id.
    let key: JSON
    let id: String

    /// What stands for no bookmark in answers. It is none when it comes back.
    static let none = "nil"

    init(key: JSON, id: String) {
        self.key = key
        self.id = id
    }

    /// Reads the text of a bookmark; `nil` when it is none.
    init?(_ text: String) {
        var base64 = text.replacing("-", with: "+").replacing("_", with: "/")
        while base64.utf8.count % 4 != 0 { base64 += "=" }
        guard let data = Data(base64Encoded: base64), let json = try? JSON(parsing: Array(data)),
            let key = json["startkey"], let id = json["startkey_docid"]?.stringValue
        else { return nil }
        self.init(key: key, id: id)
    }

    var text: String {
        let json: JSON = ["startkey_docid": .string(id), "startkey": key]
        return Data(json.encoded()).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }
}
