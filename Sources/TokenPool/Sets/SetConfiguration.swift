import CouchDocument
import Foundation

/// What a configuration file says of a set: what makes its tokens, and what each of them is.
///
/// Everything is read and checked here, before anything is written; a configuration that loads makes its tokens, unless
/// one of its files changes meanwhile. `docs/token-sets.md` describes every key.
public struct SetConfiguration: Sendable {
    /// The set's name.
    public var name: String
    /// What people should know of the set.
    public var description: String?
    /// The file as the user named it.
    public let file: String
    /// The files that go to the worker with every token, as the configuration says it.
    public var sandbox: SandboxDeclaration?
    /// How many of its tokens may be held at once; `nil` any number.
    public var limit: Int?
    /// Its part of the pool beside other sets with work; `nil` is 1.
    public var share: Double?
    /// The configuration as data, for the set document.
    public let record: JSON

    let source: any TokenSource
    let maker: any TokenMaker

    /// What a command line can add to a file.
    public struct Options: Sendable {
        /// Values of variables: name and text.
        public var variables: [(name: String, value: String)] = []
        /// Another name for the set.
        public var name: String?
        /// What GRID_LRT's own files need beside themselves.
        public var gridLRT = GridLRTOptions()

        /// No additions.
        public init() {}
    }

    /// Reads a file: one of ours, or a YAML or JSON configuration of GRID_LRT.
    ///
    /// - Throws: ``ConfigurationError``, one line with file, line and column.
    public init(file: String, options: Options = Options()) throws {
        let root = try ConfigurationFile.read(file)
        if GridLRTConfiguration.isOne(root) {
            try self.init(gridLRT: root, file: file, options: options)
        } else {
            try self.init(root, file: file, options: options)
        }
    }

    init(
        name: String, description: String?, file: String, sandbox: SandboxDeclaration?, record: JSON,
        source: any TokenSource, maker: any TokenMaker
    ) {
        self.name = name
        self.description = description
        self.file = file
        self.sandbox = sandbox
        self.record = record
        self.source = source
        self.maker = maker
    }

    /// The tokens, made one by one while they are read.
    public func tokens() -> SetTokens { SetTokens(configuration: self) }
}

/// Where the sandbox of a set comes from, as the configuration says it.
public struct SandboxDeclaration: Sendable, Hashable {
    /// A folder or archive on this machine. `tokenpool set create` packs and uploads it first; left as it is, tokens
    /// name the path, which only workers on this machine can read.
    public var localPath: String?
    /// What goes into `pool.sandbox` of every token.
    public var members: JSONObject
    /// Where it is declared.
    public let place: ConfigurationPlace

    /// `pool.sandbox` of the tokens.
    var tokenMembers: JSONObject {
        guard let localPath else { return members }
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: localPath, isDirectory: &isFolder)
        var members = members
        members[isFolder.boolValue ? "folder" : "archive"] = .string(localPath)
        return members
    }
}

/// Makes the document of a token from a row of the source.
protocol TokenMaker: Sendable {
    /// - Parameter attachments: Whether attached files are read into the document or only looked at.
    func token(
        from row: SourceRow, number: Int, of configuration: SetConfiguration, attachments: AttachmentReading
    ) throws -> Token
}

/// What is done with the files that tokens attach.
enum AttachmentReading { case checked, inlined }

/// The tokens of a set, in the order of their source. Made while they are read: a million of them need no more memory
/// than one.
public struct SetTokens: Sequence {
    let configuration: SetConfiguration

    /// Makes one token after the other.
    public struct Iterator: IteratorProtocol {
        private let configuration: SetConfiguration
        private let attachments: AttachmentReading
        private var rows: Result<() throws -> SourceRow?, any Error>
        private var number = 0
        /// Where the token made last comes from.
        public private(set) var place = ""

        init(_ configuration: SetConfiguration, attachments: AttachmentReading) {
            self.configuration = configuration
            self.attachments = attachments
            rows = Result { try configuration.source.rows() }
        }

        /// The next token with its attachments, or what is wrong with it; `nil` after the last and after an error.
        public mutating func next() -> Result<Token, any Error>? {
            do {
                guard let row = try rows.get()() else { return nil }
                number += 1
                place = row.place
                return .success(
                    try configuration.maker.token(
                        from: row, number: number, of: configuration, attachments: attachments))
            } catch {
                rows = .success({ nil })
                return .failure(error)
            }
        }

        mutating func nextToken() throws -> Token? { try next()?.get() }
    }

    /// Begins at the first token.
    public func makeIterator() -> Iterator { Iterator(configuration, attachments: .inlined) }

    func checking() -> Iterator { Iterator(configuration, attachments: .checked) }
}
