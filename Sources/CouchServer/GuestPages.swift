import Hummingbird
import NIOCore

/// Pages that others serve below a path at which no database can be. They know nothing of databases, sign in in their own
/// way, and bound what they take on.
package protocol GuestPages: Sendable {
    /// The path, such as `/_pool`.
    var prefix: String { get }
    /// Answers a request at or below that path, which came over that connection.
    func respond(to request: Request, over channel: any Channel) async throws -> Response
}
