import CouchDB

extension Projects {
    /// One file of a project; `nil` when it is not there. Costs the same however many files there are.
    public func file(_ did: DID, of number: Int) async throws -> Project.FileHandle? {
        try await database.documentIfPresent(Project.FileHandle.documentID(number, did))
            .flatMap { Project.FileHandle($0) }
    }
}
