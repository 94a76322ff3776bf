import CouchDocument
import Testing

@testable import TokenPool

@Suite("What makes tokens")
struct SourceTests {
    @Test("a list makes one token an element, of mappings or of plain values")
    func list() throws {
        let found = try tokens("set: s\ntokens: [{a: 1, b: x}, {a: 2, b: y}]\nname: \"{b}{a}\"\n")
        #expect(found.map(\.id) == ["s_x1", "s_y2"])
        #expect(found[0].input == ["a": 1, "b": "x"])
        let plain = try tokens("set: s\ntokens: [echo one, 2]\n")
        #expect(plain.map(\.id) == ["s_0001", "s_0002"])
        #expect(plain.map(\.input) == ["echo one", 2])
    }

    @Test("a token has PiCaS' base fields, and the rest in pool")
    func shape() throws {
        let token = try #require(tokens("set: s\ntokens: [echo]\n").first)
        #expect(
            token.document.fields.names == [
                "_id", "type", "lock", "done", "hostname", "scrub_count", "input", "exit_code", "output", "uploads",
                "error", "pool",
            ])
        #expect(token.pool.members == ["set": "s", "kind": "command", "attempts": 0])
    }

    @Test(
        "ranges count up and down, by whole and by decimal steps",
        arguments: [
            ("1..3", ["1", "2", "3"]), ("3..1", ["3", "2", "1"]), ("{to: 2}", ["1", "2"]),
            ("{from: 0, to: 10, step: 4}", ["0", "4", "8"]),
            ("{from: 0.1, to: 0.3, step: 0.1}", ["0.1", "0.2", "0.3"]),
            ("{from: 5, to: 5}", ["5"]),
        ])
    func range(range: String, expected: [String]) throws {
        #expect(try tokens("set: s\ntokens: {range: \(range)}\n").map(\.id) == expected.map { "s_\($0)" })
    }

    @Test("a matrix makes every combination, the last axis fastest, less the excluded, and the included")
    func matrix() throws {
        let found = try tokens(
            """
            set: s
            tokens:
              matrix: {x: [a, b], y: 1..3}
              exclude: [{x: a, y: [1, 2]}, {y: 3, x: b}]
              include: [{x: c, y: 9}]
            """)
        #expect(found.map(\.id) == ["s_a_3", "s_b_1", "s_b_2", "s_c_9"])
        #expect(found[1].input == ["x": "b", "y": 1])
    }

    @Test("lines keep their text; blank lines and comments make no token")
    func lines() throws {
        let found = try tokens(
            "set: s\ntokens: {lines: l.txt, comment: '#'}\ncommand: [echo, \"{words}\", \"{line_number}\"]\n",
            files: ["l.txt": "-q 1\r\n\n  # no\n  two  words \nlast"])
        #expect(found.map(\.input) == ["-q 1", "  two  words ", "last"])
        #expect(
            found.map { $0.pool.command } == [
                ["echo", "-q", "1", "1"], ["echo", "two", "words", "4"], ["echo", "last", "5"],
            ])
    }

    @Test("CSV values are texts as they stand in the file, quotes and line ends included")
    func csv() throws {
        let found = try tokens(
            "set: s\ntokens: {csv: t.csv}\nname: \"{id}\"\n",
            files: ["t.csv": "\u{FEFF}id,note\n007,\"a, \"\"b\"\"\nc\"\n8,\n"])
        #expect(found.map(\.id) == ["s_007", "s_8"])
        #expect(found[0].input == ["id": "007", "note": "a, \"b\"\nc"])
        let bare = try tokens(
            "set: s\ntokens: {csv: t.dat, separator: ';', columns: [a, b]}\nname: \"{b}\"\n",
            files: ["t.dat": "1;2\n3;4\n"])
        #expect(bare.map(\.id) == ["s_2", "s_4"])
    }

    @Test("files are found by pattern, in order")
    func files() throws {
        let found = try tokens(
            "set: s\ntokens: {files: 'in/**/*.dat'}\nattachments: {data: {file: \"{path}\"}}\n",
            files: ["in/b.dat": "bb", "in/deep/a.dat": "a", "in/.hidden.dat": "", "in/c.txt": ""])
        #expect(found.map(\.id) == ["s_b.dat", "s_a.dat"])
        #expect(found[0].input["size"] == 2)
        #expect(content("data", of: found[1]) == "a")
    }

    @Test("JSON lists and JSON lines make one token an element, with its values' own types")
    func json() throws {
        let found = try tokens(
            "set: s\ntokens: {json: t.json, at: job.rows}\ninput: \"{item}\"\n",
            files: ["t.json": #"{"job":{"rows":[[1,2.50],"x"]}}"#])
        #expect(found.map(\.input) == [[1, .double(2.5)!], "x"])
        let lines = try tokens(
            "set: s\ntokens: {json: t.jsonl}\nname: \"{n}\"\n", files: ["t.jsonl": "{\"n\":1}\n\n{\"n\":2}\n"])
        #expect(lines.map(\.id) == ["s_1", "s_2"])
    }

    @Test("an srm list is cut into slices that keep gaps, each with its links")
    func srm() throws {
        let list = [12, 0, 1, 9, 31].map { "srm://h/x/L12345_SB0\($0 < 10 ? "0" : "")\($0)_uv.tar file:///y\n" }
            .joined()
        let found = try tokens("set: s\ntokens: {srm: l.txt}\n", files: ["l.txt": list])
        #expect(found.map(\.id) == ["s_SB000", "s_SB010", "s_SB030"])
        #expect(content("srm.txt", of: found[0])?.split(separator: "\n").count == 3)
        #expect(content("srm.txt", of: found[2]) == "srm://h/x/L12345_SB031_uv.tar\n")
        #expect(found[1].input == ["slice": "010", "start": 10, "count": 1, "obsid": "L12345"])
    }

    @Test("names may hold anything")
    func names() throws {
        let names = ["a b", "100%", "x+y&z#", "p/q", "ünï💥", "line\nend", "..", "it's"]
        let found = try tokens(
            "set: \"a set/1%\"\ntokens: [\(names.map { JSON.string($0).description }.joined(separator: ", "))]\nname: \"{item}\"\n"
        )
        #expect(found.map(\.id) == names.map { "a set/1%_\($0)" })
    }
}
