import CouchDocument
import Foundation

/// Addresses of one observation's files on tape, in the order of their list.
///
/// Lines may end in `\n` or `\r\n`, be blank, and carry more columns: the first that is an address counts. Links that
/// appear twice stay twice. All links belong to one observation unless the check is switched off.
public struct SRMList: Sendable {
    /// The links, in order.
    public private(set) var links: [String] = []
    /// The observation, such as `L229507`; `nil` when no link names one.
    public private(set) var observation: String?
    /// Whether a link of another observation is refused.
    public let checksObservation: Bool

    /// An empty list.
    public init(checksObservation: Bool = true) { self.checksObservation = checksObservation }

    /// Reads a file of links.
    ///
    /// - Throws: ``ConfigurationError`` naming the line, when a link is of another observation or is none at all.
    public init(file: String, checksObservation: Bool = true) throws {
        try self.init(NamedFile(file, sayingOf: "srm list"), checksObservation: checksObservation)
    }

    init(_ file: NamedFile, checksObservation: Bool) throws {
        self.init(checksObservation: checksObservation)
        var reader = try file.lines()
        while let line = try reader.next() {
            try append(line, at: ConfigurationPlace(file: file.name, line: reader.line))
        }
    }

    /// Adds a line of a list. Blank lines add nothing.
    public mutating func append(_ line: String, at place: ConfigurationPlace = ConfigurationPlace(file: "srm list"))
        throws
    {
        let columns = line.split(whereSeparator: \.isWhitespace)
        guard !columns.isEmpty else { return }
        let addresses = columns.filter { $0.contains("://") }
        guard let address = addresses.first(where: { $0.contains("srm://") }) ?? addresses.first else {
            throw ConfigurationError(
                place, "\"\(columns[0])\" is no address: an srm, gsiftp or https link was expected")
        }
        // Some listings double the slash between host and path.
        let link = String(address).replacing("//pnfs/", with: "/pnfs/").replacing(":8443//lofar/", with: ":8443/lofar/")
        if let found = Self.observation(of: link) {
            if checksObservation, let observation, observation != found {
                throw ConfigurationError(
                    place,
                    "the link is of observation \(found), those before it are of \(observation); one list holds one observation"
                )
            }
            observation = observation ?? found
        }
        links.append(link)
    }

    /// `L` and digits in the file's name, else anywhere in the link.
    private static func observation(of link: String) -> String? {
        let name = link.split(separator: "/").last.map { String($0) } ?? link
        for text in [name, link] {
            if let match = text.firstMatch(of: /L[0-9]{2,}/) { return String(match.output) }
        }
        return nil
    }

    /// The number of a link's subband: the digits behind the prefix in the file's name, with no prefix given behind `SB`
    /// or else `ABN_`.
    public static func subband(of link: String, prefix: String? = nil) -> Int? {
        let name = String(link.split(separator: "/").last ?? "")
        for prefix in prefix.map({ [$0] }) ?? ["SB", "ABN_"] {
            for range in name.ranges(of: prefix) {
                let digits = name[range.upperBound...].prefix { $0.isASCII && $0.isNumber }
                if let number = Int(digits) { return number }
            }
        }
        return nil
    }

    /// Some subbands that follow each other, and their links.
    public struct Slice: Sendable, Hashable {
        /// The number with which the slice begins, whether or not a link has it.
        public let start: Int
        /// The links, by subband.
        public let links: [String]
        /// The start in at least three digits, which is GRID_LRT's name for the slice.
        public var name: String { String(repeating: "0", count: max(0, 3 - String(start).count)) + String(start) }
    }

    /// The list in slices of so many subbands, counted from the smallest. Gaps stay gaps, and slices without links are
    /// left out.
    ///
    /// - Throws: ``ConfigurationError`` when a link has no subband.
    public func slices(of size: Int = 10, prefix: String? = nil) throws -> [Slice] {
        var numbered: [(number: Int, link: String)] = []
        for link in links {
            guard let number = Self.subband(of: link, prefix: prefix) else {
                let wanted = prefix.map { "\"\($0)\"" } ?? "\"SB\" or \"ABN_\""
                throw ConfigurationError(ConfigurationPlace(file: link), "no number behind \(wanted) tells the subband")
            }
            numbered.append((number, link))
        }
        guard let first = numbered.map(\.number).min() else { return [] }
        var slices: [Int: [(number: Int, link: String)]] = [:]
        for entry in numbered { slices[(entry.number - first) / size, default: []].append(entry) }
        return slices.sorted { $0.key < $1.key }.map { index, entries in
            // Swift's sort is stable: links of one subband stay in the list's order.
            Slice(start: first + index * size, links: entries.sorted { $0.number < $1.number }.map(\.link))
        }
    }
}

/// One token a slice of a list of links. The links go with the token as `srm.txt`.
struct SRMSource: TokenSource {
    let file: NamedFile
    let list: SRMList
    let observation: String?
    let slices: [SRMList.Slice]

    init(file: NamedFile, size: Int, observation: String?, prefix: String?, checksObservation: Bool) throws {
        self.file = file
        list = try SRMList(file, checksObservation: checksObservation)
        if let observation, let found = list.observation, checksObservation, observation != found {
            throw ConfigurationError(file.place, "\"\(file.name)\" is of observation \(found), not \(observation)")
        }
        self.observation = observation ?? list.observation
        slices = try list.slices(of: size, prefix: prefix)
    }

    var defaultName: String { "SB{slice}" }
    var valueNames: [String]? { ["slice", "start", "count", "links", "first_link", "obsid"] }
    var defaultAttachments: [(name: String, template: String)] { [("srm.txt", "{links}")] }

    func rows() -> () throws -> SourceRow? {
        var index = 0
        return {
            guard index < slices.count else { return nil }
            defer { index += 1 }
            let slice = slices[index]
            let short: JSONObject = [
                "slice": .string(slice.name), "start": .integer(slice.start), "count": .integer(slice.links.count),
                "obsid": .string(observation ?? ""),
            ]
            var values = short
            values["links"] = .string(slice.links.map { $0 + "\n" }.joined())
            values["first_link"] = .string(slice.links.first ?? "")
            return SourceRow(values: values, place: "\(file.name) (slice \(slice.name))", input: .object(short))
        }
    }
}
