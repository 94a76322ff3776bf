import CouchDocument
import Dispatch
import Foundation
import Logging
import Synchronization

/// The view indexes of one database: one index, in one file, for each set of view functions.
///
/// Design documents with equal views share an index. An index is opened by the first query and stays open until its
/// design document is gone (``cleanup(keeping:)``) or the database closes.
package final class ViewIndexes: Sendable {
    private struct State {
        var isClosed = false
        /// By signature.
        var indexes: [String: Task<ViewIndex, any Error>] = [:]
        /// Those that are open, as far as anybody asked for them.
        var open: [String: ViewIndex] = [:]
        /// What is in the design documents of late, by id, while their revision stays.
        var known: [String: (revision: Revision, definitions: ViewDefinitions)] = [:]
    }

    private let folder: String
    private let source: any ViewSource
    private let isPartitioned: Bool
    private let limits: JavaScriptLimits
    private let mostInSnapshot: Int
    private let logger: Logger
    private let tasks: DatabaseTasks
    private let openingQueue = DispatchQueue(label: "opening view indexes")
    /// Protects the list of open indexes.
    private let state = Mutex(State())

    /// Validation, filter and update functions of this database's design documents.
    package let functions: DesignFunctions

    /// The views of the database whose changes are `source`. `folder` is made when the first index is.
    ///
    /// - Parameter mostInSnapshot: Changes for which a snapshot is held; further ones are first read without.
    package init(
        folder: String, source: any ViewSource, isPartitioned: Bool = false, limits: JavaScriptLimits = .init(),
        mostInSnapshot: Int = 200_000, tasks: DatabaseTasks = DatabaseTasks(), logger: Logger
    ) {
        self.folder = folder
        self.source = source
        self.isPartitioned = isPartitioned
        self.limits = limits
        self.mostInSnapshot = mostInSnapshot
        self.tasks = tasks
        self.logger = logger
        functions = DesignFunctions(limits: limits, logger: logger)
    }

    /// The rows of a view, after the index has caught up as `query.update` says.
    ///
    /// Queries that arrive while the index catches up wait together for one pass.
    ///
    /// - Throws: ``StoreError`` in CouchDB's words: a view that is not there, options that can not be, a function that
    ///   ran too long.
    package func query(design: DesignDocument, view: String, _ query: ViewIndexQuery) async throws -> ViewResult {
        try await pages(design: design, view: view, query).whole()
    }

    /// Like ``query(design:view:_:)``, but of a large answer the rows come page by page (``ViewResult/rest``).
    package func pages(design: DesignDocument, view: String, _ query: ViewIndexQuery) async throws -> ViewResult {
        try await rows(design: design, view: view, update: query.update) { place, order, isPartitioned in
            try ViewQueryPlan(
                query, isReducible: place.reduce != nil, order: order, isPartitioned: isPartitioned)
        }
    }

    /// Says what is wrong with a query, without asking the index.
    package func check(design: DesignDocument, view: String, _ query: ViewIndexQuery) throws {
        let definitions = definitions(of: design)
        try Self.checkLanguage(definitions)
        guard let place = definitions.places[view] else { throw StoreError.absent("missing_named_view") }
        _ = try ViewQueryPlan(
            query, isReducible: place.reduce != nil, order: definitions.rows[place.rows].order,
            isPartitioned: definitions.isPartitioned)
    }

    /// The first page of the rows of a range, and whether that is all of them.
    func firstRows(
        design: DesignDocument, view: String, _ plan: ViewQueryPlan, update: ViewUpdate
    ) async throws -> (rows: [ViewRow], isAll: Bool) {
        let result = try await rows(design: design, view: view, update: update) { _, _, _ in plan }
        return (result.rows, result.rest == nil)
    }

    private func rows(
        design: DesignDocument, view: String, update: ViewUpdate,
        plan: (ViewDefinitions.Place, CollationKey.Order, _ isPartitioned: Bool) throws -> ViewQueryPlan
    ) async throws -> ViewResult {
        let definitions = definitions(of: design)
        try Self.checkLanguage(definitions)
        guard let place = definitions.places[view] else { throw StoreError.absent("missing_named_view") }
        let plan = try plan(place, definitions.rows[place.rows].order, definitions.isPartitioned)
        let index = try await index(definitions, of: design)
        switch update {
        case .before: try await index.catchUp(to: source.lastSequence())
        case .lazy, .never: break
        }
        let result = try await index.read(place, plan)
        if update == .lazy { index.catchUpInBackground(to: try source.lastSequence()) }
        return result
    }

    /// What `GET /db/_design/name/_info` tells.
    package func information(design: DesignDocument) async throws -> ViewIndexInformation {
        try await index(definitions(of: design), of: design).information(lastSequence: source.lastSequence())
    }

    /// Makes the index' file as small as its rows allow; returns when done.
    package func compact(design: DesignDocument) async throws {
        try await index(definitions(of: design), of: design).compact()
    }

    private static func checkLanguage(_ definitions: ViewDefinitions) throws(StoreError) {
        if definitions.language != "javascript" && definitions.nativeMaps == nil {
            throw .failure("unknown_query_language", definitions.language)
        }
    }

    private func definitions(of design: DesignDocument) -> ViewDefinitions {
        let id = design.document.id
        let revision = design.document.revision
        let known = state.withLock { $0.known[id] }
        if let known, known.revision == revision { return known.definitions }
        let definitions = ViewDefinitions(design, inPartitioned: isPartitioned)
        if let revision { state.withLock { $0.known[id] = (revision, definitions) } }
        return definitions
    }

    /// Tells the open indexes of a commit. Never waits.
    func didCommit(_ sequence: Int) {
        for index in state.withLock({ Array($0.open.values) }) { index.didCommit(sequence) }
    }

    /// The open index with that signature; opened now, on a thread that may block, if it is not.
    private func index(_ definitions: ViewDefinitions, of design: DesignDocument) async throws -> ViewIndex {
        let signature = definitions.signature
        let opening = try state.withLock { state in
            if let known = state.indexes[signature] { return known }
            if state.isClosed { throw StoreError.absent("Database does not exist.") }
            let opening = Task { try await open(definitions, designID: design.document.id) }
            state.indexes[signature] = opening
            return opening
        }
        do {
            let index = try await opening.value
            state.withLock { state in
                if state.open[signature] == nil, state.indexes[signature] == opening { state.open[signature] = index }
            }
            return index
        } catch {
            state.withLock { state in if state.indexes[signature] == opening { state.indexes[signature] = nil } }
            throw error
        }
    }

    private func open(_ definitions: ViewDefinitions, designID: String) async throws -> ViewIndex {
        let path = folder + "/" + definitions.signature + ".db"
        return try await withCheckedThrowingContinuation { continuation in
            openingQueue.async { [self] in
                continuation.resume(
                    with: Result {
                        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                        return try ViewIndex(
                            definitions, designID: designID, path: path, source: source, limits: limits,
                            mostInSnapshot: mostInSnapshot, tasks: tasks,
                            logger: logger)
                    })
            }
        }
    }

    /// Removes the indexes that none of these design documents uses.
    package func cleanup(keeping designs: [DesignDocument]) async throws {
        let kept = Set(designs.map { definitions(of: $0).signature })
        let unused = state.withLock { state in
            let unused = state.indexes.filter { !kept.contains($0.key) }
            for signature in unused.keys {
                state.indexes[signature] = nil
                state.open[signature] = nil
            }
            let ids = Set(designs.map(\.document.id))
            state.known = state.known.filter { ids.contains($0.key) }
            return unused
        }
        await close(unused.values)
        guard FileManager.default.fileExists(atPath: folder) else { return }
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name.hasSuffix(".db") {
            let signature = String(name.dropLast(3))
            let isOpen = state.withLock { $0.indexes[signature] != nil }
            if !kept.contains(signature) && !isOpen { ViewIndexFile.remove(path: folder + "/" + name) }
        }
    }

    /// Ends all work and closes the files. A query after that is refused.
    package func close() async {
        let indexes = state.withLock { state in
            defer {
                state.indexes = [:]
                state.open = [:]
            }
            state.isClosed = true
            return state.indexes
        }
        await close(indexes.values)
        functions.close()
    }

    /// An index that could not be opened has nothing to close; who asked for it was told why.
    private func close(_ indexes: some Sequence<Task<ViewIndex, any Error>>) async {
        for opening in indexes { if let index = try? await opening.value { await index.close() } }
    }

    /// Closes and removes every file: the database is gone.
    package func removeAll() async throws {
        await close()
        guard FileManager.default.fileExists(atPath: folder) else { return }
        try FileManager.default.removeItem(atPath: folder)
    }
}
