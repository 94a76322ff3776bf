import CouchDB
import CouchDocument
import Foundation
import TestSupport
import Testing
import TokenPool

@Suite("Catalogues in CSV")
struct CatalogTableTests {
    /// Writes a text into a file that goes with the test.
    private func withFile<Result>(_ text: String, _ body: (String) async throws -> Result) async throws -> Result {
        let url = FileManager.default.temporaryDirectory.appending(path: "catalog-\(UUID().uuidString).csv")
        try Data(text.utf8).write(to: url)
        defer { try? FileManager.default.removeItem(at: url) }
        return try await body(url.path)
    }

    @Test("replicas are added with names that are data, further URLs and an availability")
    func replicas() async throws {
        let text = """
            \u{FEFF}namespace,name,rse,url,urls,available,preference\r
            test,"a, ""b"" & 50% é",DISK,root://d//a,https://d/a gsiftp://d/a,,3\r
            \r
            test,t,TAPE,root://t//t,,,\r
            test,u,TAPE,root://t//u,,yes,\r
            """
        try await withPool { pool, _ in
            let projects = Projects(pool)
            _ = try await projects.load(try Catalog(["rses": [["name": "TAPE", "is_tape": true]]]))
            let report = try await withFile(text) {
                try await projects.load(checked: try CatalogTable(path: $0, name: "c.csv"))
            }
            #expect(report.replicas == 3 && report.files == 3)
            let dids = try ["a, \"b\" & 50% é", "t", "u"].map { try #require(DID(namespace: "test", name: $0)) }
            let found = try await projects.replicas(of: dids).map(\.replicas)
            #expect(
                found[0] == [
                    Replica(
                        rse: "DISK", url: "root://d//a", urls: ["root://d//a", "https://d/a", "gsiftp://d/a"],
                        preference: 3)
                ])
            #expect(found[1].map(\.isAvailable) == [false], "nothing is said, and it is on tape")
            #expect(found[2].map(\.isAvailable) == [true])
        }
    }

    @Test("storage elements and the proximity map come in tables too; a map needs no line with columns")
    func others() async throws {
        try await withPool { pool, _ in
            let projects = Projects(pool)
            let rses =
                "name,description,is_tape,is_enabled,preference,pin_url\nT,\"Tape, old\",yes,,7,https://p/\nD,,,no,,\n"
            let first = try await withFile(rses) {
                try await projects.load(checked: try CatalogTable(path: $0, name: "r.csv"))
            }
            #expect(first.rses == 2)
            let found = try await projects.rses()
            #expect(found.map(\.name) == ["D", "T"])
            #expect(found.map(\.isTape) == [false, true])
            #expect(found.map(\.isEnabled) == [false, true])
            #expect(found[1].json["description"] == "Tape, old" && found[1].json["pin_url"] == "https://p/")
            for map in ["DEFAULT,DEFAULT,100\nS,T,3\n", "rse,proximity,site\nDEFAULT,100,DEFAULT\nT,3,S\n"] {
                _ = try await withFile(map) {
                    try await projects.load(checked: try CatalogTable(path: $0, name: "p.csv"))
                }
                let rows = try await pool.database.document("proximity")["rows"]
                #expect(rows == [["DEFAULT", "DEFAULT", 100], ["S", "T", 3]])
            }
        }
    }

    @Test(
        "the first row that is wrong is told with file and line",
        arguments: [
            ("did,rse,url\nns:a,R,u\nns:b,R\n", "c.csv:3: 2 values for 3 columns"),
            ("did,rse,url\n\"ns:\na\",R,u\nb,R,u\n", "c.csv:4: namespace (without a colon) and name are wanted"),
            ("did,rse,url,available\nns:a,R,u,maybe\n", "c.csv:2: available must be true or false, not \"maybe\""),
            ("did,rse,url,preference\nns:a,R,u,1.5\n", "c.csv:2: preference must be a whole number, not \"1.5\""),
            ("did,rse,url\nns:a,,u\n", "c.csv:2: rse is missing"),
            ("did,rse,url\nns:a,R,\n", "c.csv:2: url is missing"),
            ("did,rse,url\nns:a,R,\"u\n", "c.csv:2: a quoted value has no closing quote"),
            ("did,rse,rse,url\n", "c.csv:1: column \"rse\" appears twice"),
            ("did,rse\n", "c.csv:1: column \"url\" is missing"),
            (
                "did,rse,url,size\n",
                "c.csv:1: column \"size\" is not known; there can be did, namespace, name, rse, url, urls, path, preference, available"
            ),
            ("site,rse,proximity\nS,R,near\n", "c.csv:2: proximity must be a whole number"),
            ("S,R,3\nS,R\n", "c.csv:2: 2 values for 3 columns"),
            ("", "c.csv: the file has no first line with the columns"),
        ])
    func wrong(text: String, reason: String) async throws {
        let error = await #expect(throws: ConfigurationError.self) {
            try await withFile(text) { try CatalogTable(path: $0, name: "c.csv").check() }
        }
        #expect(error?.description == reason)
    }
}
