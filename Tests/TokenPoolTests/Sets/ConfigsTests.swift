import CouchDocument
import DesignDocuments
import Foundation
import Testing

@testable import TokenPool

@Suite("The files that come with tokenpool")
struct ConfigsTests {
    fileprivate static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test("every configuration in Configs loads and makes its tokens")
    func configs() throws {
        var counts: [String: Int] = [:]
        let folder = Self.root.appending(path: "Configs").path(percentEncoded: false)
        for path in try FileManager.default.subpathsOfDirectory(atPath: folder) where path.hasSuffix(".yaml") {
            let configuration = try SetConfiguration(file: folder + "/" + path)
            counts[path] = try SetLedger(configuration, progress: nil).count
        }
        #expect(
            counts == [
                "quickstart.yaml": 8, "picas-quick-example.yaml": 3, "fractals.yaml": 24,
                "fractals/parameters.yaml": 24,
                "parameter-sweep.yaml": 29, "srm-slices.yaml": 3,
            ])
    }

    @Test("the matrix of fractal parameters makes the lines of the file, in its order")
    func fractals() throws {
        let folder = Self.root.appending(path: "Configs/fractals").path(percentEncoded: false)
        let lines = try String(contentsOfFile: folder + "/parameters.txt", encoding: .utf8).split(separator: "\n")
        let tokens = try SetConfiguration(file: folder + "/parameters.yaml").tokens().map { try $0.get() }
        #expect(tokens.map(\.input) == lines.map { .string(String($0)) })
    }

    @Test("the embedded design documents are the folders of Views")
    func views() throws {
        let folder = Self.root.appending(path: "Views").path(percentEncoded: false)
        let read = try DesignFolder.readAll(folder)
        #expect(read.map(\.document) == DesignDocuments.all.map(\.document))
        #expect(DesignDocuments.monitor.views.keys.sorted() == ["done", "error", "locked", "overview_total", "todo"])
        #expect(DesignDocuments.monitor.views["overview_total"]?.reduce == "_sum")
        #expect(DesignDocuments.tokenpool.document["language"] == "javascript")
    }

    @Test("a folder of one design document, or of several, is read in CouchDB's mapping")
    func folders() throws {
        let scratch = try Scratch([
            "mine/views/v/map.js": "function (doc) {}\n\n", "mine/views/v/reduce.js": "_count\n",
            "mine/README.md": "no",
            "mine/validate_doc_update.js": "function () {}\n", "mine/filters/f.js": "function () {}",
            "mine/options.json": "{\"partitioned\":false}", "other/_id": "_design/real name\n",
            "other/language": "javascript\n",
        ])
        let designs = try DesignFolder.readAll(scratch.path(""))
        #expect(designs.map(\.name) == ["mine", "real name"])
        #expect(designs[0].views["v"] == DesignDocument.View(map: "function (doc) {}", reduce: "_count"))
        #expect(designs[0].document["filters"] == ["f": "function () {}"])
        #expect(designs[0].document["options"] == ["partitioned": false])
        #expect(try DesignFolder.readAll(scratch.path("mine")).map(\.name) == ["mine"])
        try scratch.write("", to: "mine/views/v/map.txt")
        #expect { try DesignFolder.read(scratch.path("mine")) } throws: {
            "\($0)" == "mine/views/v/map.txt: another file gives the same member \"map\""
        }
        try scratch.write("", to: "mine/picture.png")
        #expect(throws: DesignFolderError.self) { try DesignFolder.read(scratch.path("mine")) }
    }
}

extension ConfigsTests {
    @Test("docs/token-sets.md explains every key, source and view")
    func documentation() throws {
        let page = try String(contentsOf: Self.root.appending(path: "docs/token-sets.md"), encoding: .utf8)
        for key in SetConfiguration.keys + SourceReader.kinds { #expect(page.contains("| `\(key)`"), "\(key)") }
        for view in DesignDocuments.tokenpool.views.keys { #expect(page.contains("`\(view)`"), "\(view)") }
    }
}
