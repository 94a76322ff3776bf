import Foundation
import FuzzTargets
import Testing

/// The inputs that `Scripts/fuzz` begins with, and those that once did harm.
@Suite("Fuzz corpus")
struct FuzzCorpusTests {
    @Test("every input of the corpus keeps what its target promises", arguments: FuzzTarget.allCases)
    func replay(_ target: FuzzTarget) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Fuzz/corpus/\(target.rawValue)")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(files.count >= 5)
        for file in files { target.run([UInt8](try Data(contentsOf: file))) }
    }
}
