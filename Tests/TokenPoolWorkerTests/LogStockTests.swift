import Foundation
import Glibc
import Testing

@testable import TokenPoolWorker

@Suite("Log files that are used again")
struct LogStockTests {
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/tokenpool-stock-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func inode(_ path: String) throws -> Int {
        try #require(try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int)
    }

    private func write(_ text: String, to log: CapturedLog) throws {
        let descriptor = try log.openForCommand()
        defer { Glibc.close(descriptor) }
        #expect(text.withCString { Glibc.write(descriptor, $0, strlen($0)) } == text.utf8.count)
    }

    @Test("are empty under their new names, and go with the stock")
    func reuse() throws {
        try inFolder { folder in
            let stock = LogStock()
            let old = try stock.log(at: folder + "/a.out", limit: 100)
            try write("old", to: old)
            let number = try inode(old.path)
            old.close()
            stock.retire(old.path)
            let new = try stock.log(at: folder + "/b.out", limit: 1000)
            #expect(try inode(new.path) == number)
            #expect(!FileManager.default.fileExists(atPath: old.path))
            try write("new", to: new)
            #expect(try new.kept() == Array("new".utf8))
            new.close()
            stock.retire(new.path)
            stock.close()
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test("are not those that somebody still has open, linked elsewhere, or replaced by something else")
    func shared() throws {
        try inFolder { folder in
            let stock = LogStock()
            let held = try stock.log(at: folder + "/held.out", limit: 100)
            let leftover = try held.openForCommand()
            defer { Glibc.close(leftover) }
            held.close()
            stock.retire(held.path)
            let linked = try stock.log(at: folder + "/linked.out", limit: 100)
            #expect(link(linked.path, folder + "/copy") == 0)
            linked.close()
            stock.retire(linked.path)
            let replaced = folder + "/replaced.out"
            #expect(symlink("copy", replaced) == 0)
            stock.retire(replaced)
            for path in [held.path, linked.path, replaced] { #expect(!FileManager.default.fileExists(atPath: path)) }

            let new = try stock.log(at: folder + "/new.out", limit: 100)
            defer { new.close() }
            #expect(Glibc.write(leftover, "late", 4) == 4)
            #expect(try new.kept().isEmpty)
            #expect(try inode(new.path) != inode(folder + "/copy"))
        }
    }
}
