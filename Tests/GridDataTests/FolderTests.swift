import CouchDocument
import Foundation
import GridData
import TestSupport
import Testing
import TokenPool

@Suite("Folders as sources of replicas")
struct FolderTests {
    @Test(
        "a layout says where a file lies, and none leads out of the folder",
        arguments: [
            ("{namespace}/{name}", "a b", "ns/a b"), ("x/{name}.root", "d/{name}", "x/d/{name}.root"),
            ("{name}", "..", nil),
            ("{namespace}/{name}", "../../etc/passwd", nil), ("{name}", "a//b", nil), ("{name}", "/etc/passwd", nil),
            ("{name}", "a/./b", nil), ("{name}", "a\u{0}b", nil), ("{name}/", "a", nil),
        ])
    func layout(template: String, name: String, path: String?) throws {
        #expect(try FolderLayout(template).path(of: did(name)) == path)
    }

    @Test(
        "a layout that says nothing of the file is refused",
        arguments: ["x", "{namespace}", "{name}{scope}", "/{name}"])
    func badLayout(template: String) {
        #expect(throws: GridError.self) { try FolderLayout(template) }
    }

    @Test("files of a folder are found by their bytes, links out of it are not followed")
    func posix() async throws {
        let (folder, outside) = (try ScratchFolder(), try ScratchFolder())
        defer {
            folder.remove()
            outside.remove()
        }
        try folder.write("ns/a b&%é#?")
        try folder.write("ns/sub/c")
        let secret = try outside.write("secret")
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/ns/out", withDestinationPath: secret)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/ns/in", withDestinationPath: "sub/c")
        let source = try PosixFolder(
            name: "disk", rse: "D", folder: folder.path + "/", layout: try FolderLayout("{namespace}/{name}"),
            url: "root://x.org//data/")
        let names = ["a b&%é#?", "a b&%e\u{301}#?", "sub/c", "sub", "out", "in", "../../\(secret)", "none"]
        let found = try await source.replicas(of: names.map(did), schemes: [])
        #expect(found[did(names[0])]?.map(\.url) == ["root://x.org//data/ns/a%20b%26%25%C3%A9%23%3F"])
        #expect(found[did("sub/c")]?.map(\.url) == ["root://x.org//data/ns/sub/c"])
        #expect(found[did("in")]?.count == 1)
        for name in [names[1], "sub", "out", names[6], "none"] { #expect(found[did(name)] == [], "\(name)") }
        #expect(try await source.rses() == [SourceRSE(name: "D", isEnabled: true)])
    }

    @Test("a folder that is gone or empty knows nothing, rather than that nothing is there")
    func unmounted() async throws {
        let folder = try ScratchFolder()
        defer { folder.remove() }
        let layout = try FolderLayout("{name}")
        for path in [folder.path, folder.path + "/none"] {
            let source = try PosixFolder(name: "disk", rse: "D", folder: path, layout: layout)
            let error = await #expect(throws: GridError.self) { try await source.replicas(of: [did("a")], schemes: []) }
            #expect(error?.code == .unavailable)
        }
    }

    /// A WebDAV server with these files below `/dav/top dir`.
    private func server(_ files: Set<String>) -> GridStandIn {
        GridStandIn { call in
            let top = "/dav/top dir/"
            guard call.path == "/dav/top dir" || call.path.hasPrefix(top) else { return .init(404, "nothing") }
            var place = String(call.path.dropFirst(top.count))
            while place.hasSuffix("/") { place.removeLast() }
            if call.method == "HEAD" { return .init(files.contains(place) ? 200 : 404) }
            guard call.method == "PROPFIND", call.request.header("Depth") != nil else { return .init(405, "no") }
            let isFolder = place.isEmpty || files.contains { $0.hasPrefix(place + "/") }
            guard isFolder else { return .init(404, "nothing") }
            let depth = call.request.header("Depth")
            var entries = [
                "<D:response><D:href>/dav/top%20dir/\(place)</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop></D:propstat></D:response>"
            ]
            for file in files.sorted() where place.isEmpty || file.hasPrefix(place + "/") {
                let rest = file.dropFirst(place.isEmpty ? 0 : place.count + 1)
                if depth != "infinity" && rest.contains("/") || depth == "0" { continue }
                let href = file.split(separator: "/").map { String($0).percentEncodedSegment }.joined(separator: "/")
                entries.append(
                    "<D:response>\n<D:href>http://h/dav/top%20dir/\(href.replacing("&", with: "&amp;"))</D:href><D:propstat><D:prop><D:resourcetype/></D:prop></D:propstat></D:response>"
                )
            }
            return .init(
                207,
                "<?xml version=\"1.0\"?>\n<!-- x --><D:multistatus xmlns:D=\"DAV:\">\(entries.joined())</D:multistatus>\n"
            )
        }
    }

    private func source(_ url: String, _ look: WebDAVFolder.Look) throws -> WebDAVFolder {
        try WebDAVFolder(
            name: "dav", rse: "D", access: WebAccess(url: url), layout: try FolderLayout("{namespace}/{name}"),
            look: look)
    }

    @Test("files of a WebDAV folder are found in each way", arguments: WebDAVFolder.Look.allCases)
    func webDAV(look: WebDAVFolder.Look) async throws {
        let server = server(["ns/a b&%é#", "ns/sub/c", "other/x"])
        let source = try source(server.url + "/dav/top%20dir/", look)
        let names = ["a b&%é#", "sub/c", "sub", "none", "nowhere/d", "../other/x"]
        let found = try await source.replicas(of: names.map(did), schemes: [])
        #expect(found[did(names[0])]?.map(\.url) == [server.url + "/dav/top%20dir/ns/a%20b%26%25%C3%A9%23"])
        #expect(found[did(names[1])]?.map(\.url) == [server.url + "/dav/top%20dir/ns/sub/c"])
        for name in names.dropFirst(2) { #expect(found[did(name)] == [], "\(name)") }
    }

    @Test(
        "a WebDAV folder that is gone, or whose answer breaks off, knows nothing", arguments: WebDAVFolder.Look.allCases
    )
    func webDAVGone(look: WebDAVFolder.Look) async throws {
        let server = server(["ns/a"])
        let gone = try source(server.url + "/dav/elsewhere", look)
        await #expect(throws: GridError.self) { try await gone.replicas(of: [did("a")], schemes: []) }
        let faults: [GridStandIn.Fault] =
            look == .files
            ? [.status(500, "x"), .status(403, "no")]
            : [.cut(100), .status(500, "x"), .status(200, "<html></html>"), .status(207, "<a>"), .status(403, "no")]
        for fault in faults {
            let source = try source(server.url + "/dav/top%20dir", look)
            server.fail("/dav", with: fault)
            await #expect(throws: GridError.self, "\(fault)") {
                try await source.replicas(of: [did("a")], schemes: [])
            }
            #expect(try await source.replicas(of: [did("a")], schemes: [])[did("a")]?.count == 1)
        }
    }
}
