#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// Names and passwords by machine, as `.netrc` files hold them.
struct Netrc {
    struct Entry: Equatable {
        var login = ""
        var password = ""
    }

    private var machines: [String: Entry] = [:]
    private var fallback: Entry?

    /// Reads the text of a `.netrc`: `machine`, `default`, `login`, `password`, `account`; a `macdef` up to an empty line
    /// is passed over. A word may be in double quotes, with `\` before a quote in it.
    init(_ text: String) {
        var words = Words(text)
        var name: String?
        var entry: Entry?
        func keep(_ netrc: inout Netrc) {
            guard let entry else { return }
            if let name {
                if netrc.machines[name] == nil { netrc.machines[name] = entry }
            } else if netrc.fallback == nil {
                netrc.fallback = entry
            }
        }
        while let word = words.next() {
            switch word {
            case "machine":
                keep(&self)
                name = words.next()?.lowercased()
                entry = Entry()
            case "default":
                keep(&self)
                name = nil
                entry = Entry()
            case "login": entry?.login = words.next() ?? ""
            case "password": entry?.password = words.next() ?? ""
            case "account": _ = words.next()
            case "macdef": words.skipMacro()
            default: continue
            }
        }
        keep(&self)
    }

    /// Reads a file; `nil` is `~/.netrc`.
    init(path: String?) throws {
        let path = path ?? (getenv("HOME").map { String(cString: $0) } ?? "") + "/.netrc"
        self.init(String(decoding: try readFile(path), as: UTF8.self))
    }

    /// What is said of a host, or by `default`.
    func entry(for host: String) -> Entry? { machines[host.lowercased()] ?? fallback }

    private struct Words: IteratorProtocol {
        private var rest: Substring.UnicodeScalarView

        init(_ text: String) { rest = Substring(text).unicodeScalars }

        private func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar == " " || scalar == "\n" || scalar == "\t" || scalar == "\r"
        }

        mutating func next() -> String? {
            while true {
                rest = rest.drop(while: isSpace)
                guard rest.first == "#" else { break }
                rest = rest.drop { $0 != "\n" }
            }
            guard let first = rest.first else { return nil }
            var word = String.UnicodeScalarView()
            if first == "\"" {
                rest.removeFirst()
                while let scalar = rest.popFirst(), scalar != "\"" {
                    word.append(scalar == "\\" ? rest.popFirst() ?? scalar : scalar)
                }
            } else {
                while let scalar = rest.first, !isSpace(scalar) {
                    word.append(scalar)
                    rest.removeFirst()
                }
            }
            return String(word)
        }

        mutating func skipMacro() {
            var previous: Unicode.Scalar?
            while let scalar = rest.popFirst() {
                if scalar == "\n" && previous == "\n" { return }
                if scalar != "\r" { previous = scalar }
            }
        }
    }
}

/// A whole small file.
func readFile(_ path: String) throws -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError("read", path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0 && errno == EINTR { continue }
        guard count >= 0 else { throw FileError("read", path) }
        if count == 0 { return bytes }
        bytes.append(contentsOf: buffer[..<count])
    }
}
