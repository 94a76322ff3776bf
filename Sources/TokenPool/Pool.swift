public import CouchDB
import CouchDocument
import Logging
import Synchronization

/// A database with tokens in it: who may hold what, and for how long.
///
/// A handle; copies share what was learnt about the server. Nothing here keeps state that another worker would need:
/// a claim is a write on the revision that was read, and whoever loses it takes something else.
public struct Pool: Sendable {
    /// The documents.
    public let database: Database
    /// What leases and locks are compared with.
    public let clock: any PoolClock
    let logger: Logger
    let cluster: ClusterKnowledge
    let limits = SetLimits()

    /// The pool in a database.
    ///
    /// - Parameter confirmsClaims: Whether a claim is read back before it counts. On a cluster it must be, since two
    ///   writers can both be told 201 there; `nil` asks the server once whether it keeps more than one copy.
    public init(
        database: Database, clock: any PoolClock = SystemClock(), confirmsClaims: Bool? = nil,
        logger: Logger = Logger(label: "tokenpool")
    ) {
        self.database = database
        self.clock = clock
        self.logger = logger
        cluster = ClusterKnowledge(isReplicated: confirmsClaims)
    }

    /// The token of that id.
    ///
    /// - Throws: ``PoolError/Code/noSuchToken`` when there is none.
    public func token(_ id: String) async throws -> Token {
        guard let document = try await database.documentIfPresent(id) else {
            throw PoolError(.noSuchToken, "there is no token \"\(id)\" in database \"\(database.name)\"")
        }
        return Token(document)
    }

    /// Adds a token. One that has something to wait for waits.
    ///
    /// - Throws: ``PoolError/Code/badInput`` when it would wait for itself.
    public func add(_ token: Token) async throws -> SaveOutcome {
        var token = token
        token.pool.created = token.pool.created ?? clock.now()
        var check = DependencyCheck()
        check.add(token)
        try await check.refuseCircles(of: token.pool.set, in: self)
        let isLater = token.pool.notBefore.map { $0 > clock.now() } ?? false
        if token.state == .todo, isLater || !token.dependencies.isEmpty {
            let progress = try await DependencyProgress(of: token.dependencies, in: self)
            if isLater || !progress.allows(token) { token.lock = TokenState.waitingLock }
        }
        return try await save(token)
    }

    /// Writes a token on the revision that it was read at.
    ///
    /// - Returns: The token with its new revision, or what stands there instead when somebody else changed it since.
    public func save(_ token: Token) async throws -> SaveOutcome {
        do {
            return .saved(token.saved(as: try await database.save(token.document)))
        } catch CouchDBError.conflict {
            return .superseded(try await database.documentIfPresent(token.id).map(Token.init))
        }
    }

    /// Changes a token as it stands now, again and again while others change it meanwhile.
    ///
    /// - Parameter change: Gets the current token; returning `false` leaves it as it is.
    /// - Returns: The token as it stands afterwards.
    /// - Throws: ``PoolError/Code/contended`` after ten lost writes.
    @discardableResult
    public func update(_ id: String, _ change: (inout Token) throws -> Bool) async throws -> Token {
        for _ in 0..<Self.patience {
            var token = try await token(id)
            guard try change(&token) else { return token }
            if case .saved(let saved) = try await save(token) { return saved }
        }
        throw PoolError(.contended, "changing token \"\(id)\": others changed it each time; try again")
    }

    /// Deletes a token as it stands now, again while others change it meanwhile.
    ///
    /// - Throws: ``PoolError/Code/noSuchToken`` when there is none.
    public func delete(_ id: String) async throws {
        for _ in 0..<Self.patience {
            guard let revision = try await token(id).revision else { break }
            do {
                try await database.delete(id, revision: revision)
                return
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "deleting token \"\(id)\": others changed it each time; try again")
    }

    /// Lost writes after which a change of a single token is given up.
    static let patience = 10
}

/// Whether the server keeps several copies of a document, asked once.
final class ClusterKnowledge: Sendable {
    // The mutex protects the answer, which any task may look for first.
    private let answer: Mutex<Bool?>

    init(isReplicated: Bool?) { answer = Mutex(isReplicated) }

    func isReplicated(_ database: Database) async throws -> Bool {
        if let known = answer.withLock({ $0 }) { return known }
        let copies = try await database.info().raw["cluster"]?["n"]?.intValue ?? 1
        answer.withLock { $0 = copies > 1 }
        return copies > 1
    }
}

extension ViewName {
    /// PiCaS' view of the free tokens, in the order of their ids.
    public static let picasTodo = ViewName(design: "Monitor", view: "todo")
    /// Our view of all free tokens: key [kind, −priority].
    public static let todo = ViewName(design: "tokenpool", view: "todo")
    /// What somebody must see to, by the moment: leases that end, waiting tokens, sets left half done, workers.
    public static let due = ViewName(design: "tokenpool", view: "due")
    /// Tokens held without a lease, by their lock.
    public static let foreign = ViewName(design: "tokenpool", view: "foreign")
    /// Documents with more than one living revision.
    public static let conflicts = ViewName(design: "tokenpool", view: "conflicts")
    /// Who waits for a token or a set.
    public static let dependents = ViewName(design: "tokenpool", view: "dependents")
}
