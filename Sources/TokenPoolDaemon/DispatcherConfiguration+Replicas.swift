import Foundation
import GridData
import TokenPool

/// The sections `replicas` and `tape`: who says where files are, and who brings them from tape.
struct ReplicaConfiguration: Sendable {
    /// What and how often sources are asked.
    var sync = ReplicaSync.Settings()
    /// The sources, the most trusted first.
    var sources: [any ReplicaSource] = []
    /// The storage elements that bring files from tape.
    var tape: [String: StagingDesk.Place] = [:]

    /// Whether there is nothing to do.
    var isEmpty: Bool { sources.isEmpty && tape.isEmpty }

    /// The keys of the section `replicas`.
    static let keys = ["schemes", "interval", "poll", "sources"]
    private static let accessKeys = ["token_file", "certificate", "key", "authorities"]
    private static let sourceKeys: [String: [String]] = [
        "rucio": ["url", "auth_url", "account", "vo", "user", "password_file", "batch"] + accessKeys,
        "webdav": ["rse", "url", "layout", "look"] + accessKeys,
        "folder": ["rse", "path", "layout", "url"],
    ]
    private static let allSourceKeys = ["kind", "name"] + Set(sourceKeys.values.joined()).sorted()
    private static let tapeKeys =
        ["rse", "kind", "url", "poll_url", "life", "most", "batch", "poll", "pause", "takeover"] + accessKeys

    /// Takes over the section `replicas`.
    mutating func readReplicas(_ section: ConfigurationSection) throws {
        if let schemes = try section.texts("schemes") { sync.schemes = schemes }
        if let interval = try section.duration("interval", in: 1...86_400) { sync.interval = interval }
        if let poll = try section.duration("poll", in: 1...86_400) { sync.poll = poll }
        for entry in try section.sections("sources", known: Self.allSourceKeys) {
            let source = try Self.source(entry)
            guard !sources.contains(where: { $0.name == source.name }) else {
                throw entry.fault("name", "another source is called \"\(source.name)\" too")
            }
            sources.append(source)
        }
    }

    /// Takes over the section `tape`.
    mutating func readTape(_ whole: ConfigurationSection, _ key: String) throws {
        for entry in try whole.sections(key, known: Self.tapeKeys) {
            let rse = try entry.required("rse", "the name of a storage element")
            guard tape[rse] == nil else { throw entry.fault("rse", "\"\(rse)\" stands here twice") }
            tape[rse] = try Self.place(entry)
        }
    }

    private static func source(_ section: ConfigurationSection) throws -> any ReplicaSource {
        let kinds = sourceKeys.keys.sorted()
        let kind = try section.required("kind", "one of \(kinds.joined(separator: ", "))")
        guard let known = sourceKeys[kind] else {
            throw section.fault("kind", "one of \(kinds.joined(separator: ", ")) is expected, not \"\(kind)\"")
        }
        for key in allSourceKeys where section[key] != nil && key != "kind" && key != "name" && !known.contains(key) {
            throw section.fault(key, "not for sources of kind \(kind); expected \(known.joined(separator: ", "))")
        }
        let name = try section.text("name")
        switch kind {
        case "rucio": return try rucio(section, name ?? "rucio")
        case "webdav":
            let rse = try section.required("rse", "the name of a storage element")
            let look = try section.text("look") ?? WebDAVFolder.Look.folders.rawValue
            guard let look = WebDAVFolder.Look(rawValue: look) else {
                throw section.fault("look", "one of files, folders, tree is expected, not \"\(look)\"")
            }
            let access = try access(section, url: section.required("url", "the URL of a folder"))
            return try made(section, "url") {
                try WebDAVFolder(name: name ?? rse, rse: rse, access: access, layout: try layout(section), look: look)
            }
        default:
            let rse = try section.required("rse", "the name of a storage element")
            let path = try section.required("path", "the path of a folder")
            let url = try section.text("url")
            return try made(section, "path") {
                try PosixFolder(name: name ?? rse, rse: rse, folder: path, layout: try layout(section), url: url)
            }
        }
    }

    private static func rucio(_ section: ConfigurationSection, _ name: String) throws -> Rucio {
        var access = try access(section, url: section.required("url", "the URL of Rucio's server"))
        let signIn: Rucio.SignIn
        if let file = access.tokenFile {
            // It goes into a header of its own.
            access.tokenFile = nil
            signIn = .tokenFile(file)
        } else if let user = try section.text("user") {
            signIn = .password(user: user, file: try section.required("password_file", "a file with the password"))
        } else if access.certificateFile != nil {
            signIn = .certificate
        } else {
            throw section.fault("url", "say how to sign in: token_file, or user and password_file, or certificate")
        }
        var settings = Rucio.Settings(access: access, signIn: signIn)
        settings.name = name
        settings.authURL = try section.text("auth_url")
        settings.account = try section.text("account")
        settings.vo = try section.text("vo")
        if let batch = try section.number("batch", in: 1...10_000) { settings.batchSize = batch }
        return try made(section, "url") { try Rucio(settings) }
    }

    private static func layout(_ section: ConfigurationSection) throws -> FolderLayout {
        let text = try section.text("layout") ?? "{namespace}/{name}"
        return try made(section, "layout") { try FolderLayout(text) }
    }

    private static func access(_ section: ConfigurationSection, url: String) throws -> WebAccess {
        var access = WebAccess(url: url)
        access.tokenFile = try section.text("token_file")
        access.certificateFile = try section.text("certificate")
        access.keyFile = try section.text("key")
        access.authorities = try section.text("authorities")
        for key in ["certificate", "key", "authorities"] {
            guard let path = try section.text(key), !FileManager.default.isReadableFile(atPath: path) else { continue }
            throw section.fault(key, "\(path) can not be read")
        }
        return access
    }

    private static func place(_ section: ConfigurationSection) throws -> StagingDesk.Place {
        var settings = StagingDesk.Settings()
        if let life = try section.duration("life", in: 10...31_536_000) { settings.life = life }
        if let most = try section.number("most", in: 1...1_000_000) { settings.most = most }
        if let batch = try section.number("batch", in: 1...10_000) { settings.batch = batch }
        if let poll = try section.duration("poll", in: 1...3600) { settings.poll = poll }
        if let pause = try section.duration("pause", in: 1...86_400) { settings.pause = pause }
        if let takeover = try section.duration("takeover", in: 2...3600) { settings.takeover = takeover }
        // A request must end while nobody else may be at it.
        let whole = settings.takeover * 0.5
        let kind = try section.required("kind", "wlcg or dcache")
        switch kind {
        case "wlcg":
            var access = try access(section, url: section.required("url", "the URL of the storage"))
            access.whole = whole
            let settled = access
            let tape = try made(section, "url") { try WLCGTape(settled) }
            return StagingDesk.Place(settings: settings) { _ in tape }
        case "dcache":
            let (url, pollURL) = (try section.text("url"), try section.text("poll_url"))
            var access = try access(section, url: url ?? "")
            access.whole = whole
            let settled = access
            let make: @Sendable (RSE) throws -> DCacheTape = { rse in
                var pins = settled
                guard let address = url ?? rse.pinURL else {
                    throw GridError(.badInput, "RSE \"\(rse.name)\" has no pin_url, and its tape section no url")
                }
                pins.url = address
                var namespace = settled
                namespace.url = pollURL ?? rse.pollURL ?? ""
                return try DCacheTape(
                    pins: pins, namespace: namespace.url.isEmpty ? nil : namespace, prefix: rse.pinPrefix)
            }
            if url != nil { _ = try made(section, "url") { try make(RSE(name: "")) } }
            return StagingDesk.Place(settings: settings) { try make($0) }
        default: throw section.fault("kind", "wlcg or dcache is expected, not \"\(kind)\"")
        }
    }

    /// What is wrong with what a key says is told at the key.
    private static func made<Value>(_ section: ConfigurationSection, _ key: String, _ make: () throws -> Value) throws
        -> Value
    {
        do { return try make() } catch let error as GridError { throw section.fault(key, error.reason) }
    }
}
