import CouchDocument
import Testing

@testable import TokenPool

@Suite("The search language")
struct ProjectQueryTests {
    private let sample = project(
        ProjectDraft(
            files: files("a"),
            attributes: [
                "n": 7, "s": "abc", "flag": true, "list": [1, 2, 3], "map": ["k": "v"], "state": "odd", "null": nil,
                "core.run": 5, "empty": [],
            ], workerTimeout: .seconds(60)))

    private func holds(_ text: String) throws -> Bool { try ProjectQuery(text).matches(sample) }

    @Test(
        "finds",
        arguments: [
            "n = 7", "n == 7", "n > 6", "n >= 7", "n < 7.5", "n != 8", "s = abc", "s = \"abc\"", "s ~ \"^a\"",
            "s ~* \"^A\"", "s !~ \"^b\"", "s !~* \"^B\"", "flag = true", "flag = TRUE", "n in 1:9", "n in 1 : 9",
            "n not in 8:9", "s in \"a\":\"b\"", "s in a:b", "n in (1, 7)", "s in (x, abc)", "s not in (x, \"y\")",
            "n present", "n", "zz not present", "!zz", "\"b\" in s", "b in s", "z not in s", "2 in list",
            "5 not in list", "list[any] = 3", "list[all] > 0", "list[0] = 1", "list[-1] = 3", "map[\"k\"] = v",
            "len(list) = 3", "len(s) > 2", "owner = alice", "state = active", "id = 7", "worker_timeout = 60",
            "created_timestamp < 1001", "core.run = 5", "n = 7 and s = abc", "n = 8 or s = abc",
            "n = 8 or n = 7 and s = abc", "!(n = 8)", "!(n = 7) or flag", "empty[all] = 1",
            "owner in (alice, bob) and state=active", "null not present",
        ])
    func finds(text: String) throws { #expect(try holds(text)) }

    @Test(
        "does not find",
        arguments: [
            "n = 8", "n = \"7\"", "s > 1", "n in 8:9", "n in (1, 2)", "zz = 1", "zz != 1", "zz[all] = 1",
            "list[9] = 1", "map[\"x\"] = v", "n[any] = 7", "state = odd", "(n = 8 or s = abc) and owner = bob",
            "n = 8 and s = abc or owner = bob", "ended_timestamp > 0", "s ~ \"^b\"", "n ~ 7",
        ])
    func misses(text: String) throws { #expect(try !holds(text)) }

    @Test(
        "refuses, with the place",
        arguments: [
            "", "n =", "= 7", "n = 7 and", "(n = 7", "n = 7)", "n in", "n in (", "n in (1", "n in 5", "\"x\"",
            "\"x\" in", "n[", "n[x] = 1", "len(n", "list[0]", "n = 'x", "n & 7", "s ~ \"(\"", "7 = n",
            "x'; drop table projects; --",
        ])
    func refuses(text: String) throws {
        #expect { try ProjectQuery(text) } throws: { ($0 as? PoolError)?.code == .badInput }
    }

    @Test("endless nesting is refused, not followed")
    func deep() throws {
        for text in [String(repeating: "(", count: 100_000), String(repeating: "!", count: 90_000) + "n"] {
            #expect { try ProjectQuery(text) } throws: { ($0 as? PoolError)?.code == .badInput }
        }
    }
}
