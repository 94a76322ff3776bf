import CouchDocument

/// Finds the placeholders of a template.
struct TemplateParser {
    private let units: [UInt8]
    private var position = 0

    /// `{attachment:any name}` names the file that an attachment of the token becomes; its members and formats are none.
    private static let attachmentPrefix = Array("attachment:".utf8)

    init(_ text: String) { units = Array(text.utf8) }

    /// A run of opening braces, something that can be a placeholder, and as many closing braces.
    private struct Match {
        /// Where the first of the matching braces stands.
        let start: Int
        let braces: Int
        let inner: Range<Int>
        var end: Int { inner.upperBound + braces }
    }

    mutating func pieces() throws(TemplateError) -> [Template.Piece] {
        var pieces: [Template.Piece] = []
        var text: [UInt8] = []
        func flush() {
            if !text.isEmpty { pieces.append(.text(String(decoding: text, as: UTF8.self))) }
            text = []
        }
        while let match = nextMatch() {
            text += units[position..<match.start]
            position = match.end
            let inner = units[match.inner]
            let followsDollar = match.start > 0 && units[match.start - 1] == UInt8(ascii: "$")
            if match.braces == 1 && !followsDollar {
                flush()
                pieces.append(.placeholder(try Self.placeholder(String(decoding: inner, as: UTF8.self)), .plain))
            } else {
                // One pair of braces is the escape; `${name}` belongs to the shell and has none to spare.
                let kept = match.braces == 1 ? 1 : match.braces - 1
                text += Array(repeating: UInt8(ascii: "{"), count: kept) + inner
                text += Array(repeating: UInt8(ascii: "}"), count: kept)
            }
        }
        text += units[position...]
        flush()
        return pieces
    }

    /// The text written so that it reads as itself.
    static func escaped(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "{")) else { return text }
        var parser = TemplateParser(text)
        var result: [UInt8] = []
        while let match = parser.nextMatch() {
            result += parser.units[parser.position..<match.start]
            let followsDollar = match.start > 0 && parser.units[match.start - 1] == UInt8(ascii: "$")
            let isSafe = followsDollar && match.braces == 1
            result += isSafe ? [] : [UInt8(ascii: "{")]
            result += parser.units[match.start..<match.end]
            result += isSafe ? [] : [UInt8(ascii: "}")]
            parser.position = match.end
        }
        result += parser.units[parser.position...]
        return String(decoding: result, as: UTF8.self)
    }

    private func nextMatch() -> Match? {
        var index = position
        while index < units.count {
            guard units[index] == UInt8(ascii: "{") else {
                index += 1
                continue
            }
            var opening = index
            while opening < units.count, units[opening] == UInt8(ascii: "{") { opening += 1 }
            let inner = innerRange(from: opening)
            guard let inner else {
                index = opening
                continue
            }
            var closing = inner.upperBound
            while closing < units.count, units[closing] == UInt8(ascii: "}"),
                closing - inner.upperBound < opening - index
            {
                closing += 1
            }
            let braces = closing - inner.upperBound
            return Match(start: opening - braces, braces: braces, inner: inner)
        }
        return nil
    }

    /// `identifier(.member)*(:format)?` right before a closing brace.
    private func innerRange(from start: Int) -> Range<Int>? {
        func isLetter(_ unit: UInt8) -> Bool { unit == 0x5F || (unit | 0x20) >= 0x61 && (unit | 0x20) <= 0x7A }
        func isDigit(_ unit: UInt8) -> Bool { unit >= 0x30 && unit <= 0x39 }
        guard start < units.count, isLetter(units[start]) else { return nil }
        var index = start
        if units[start...].starts(with: Self.attachmentPrefix) {
            // Names of attachments may hold nearly anything.
            let end = units[start...].firstIndex { $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: "{") || $0 < 32 }
            guard let end, units[end] == UInt8(ascii: "}"), end - start > Self.attachmentPrefix.count else {
                return nil
            }
            return start..<end
        }
        while index < units.count {
            let unit = units[index]
            if unit == UInt8(ascii: "}") {
                return units[index - 1] == UInt8(ascii: ".") ? nil : start..<index
            }
            guard isLetter(unit) || isDigit(unit) || [0x2D, 0x2E, 0x3A, 0x2B].contains(unit) else { return nil }
            index += 1
        }
        return nil
    }

    private static func placeholder(_ source: String) throws(TemplateError) -> Template.Placeholder {
        if source.utf8.starts(with: attachmentPrefix) {
            return Template.Placeholder(name: source, members: [], format: nil, source: source)
        }
        let parts = source.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        var format: NumberFormat?
        if parts.count > 1 {
            format = NumberFormat(String(parts[1]))
            guard format != nil else {
                throw TemplateError("{\(source)}: \":\(parts[1])\" is no number format; write {n:03} or {x:.2}")
            }
        }
        guard path.allSatisfy({ !$0.isEmpty }) else { throw TemplateError("{\(source)} has an empty member") }
        return Template.Placeholder(
            name: path[0], members: Array(path.dropFirst()), format: format, source: source)
    }
}
