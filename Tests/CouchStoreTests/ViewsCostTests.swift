import CouchDocument
import CouchStore
import Testing

/// What a change and a query cost, told by the functions themselves: each call logs how many values it was given.
@Suite("Costs of views")
struct ViewsCostTests {
    static let overview = DesignDocument(
        map: "function (doc) { log('map'); emit([doc.state, doc.n], {count: 1, sum: doc.n}); }",
        reduce: """
            function (keys, values, rereduce) {
              log(String(values.length));
              var total = {count: 0, sum: 0};
              values.forEach(function (value) { total.count += value.count; total.sum += value.sum; });
              return total;
            }
            """)

    private static func document(_ number: Int, state: Int) -> String {
        "{\"_id\":\"t\(number)\",\"n\":\(number),\"state\":\(state)}"
    }

    @Test("after one change, a view of many rows is mapped, reduced and queried in a few calls on a few values")
    func oneChange() async throws {
        let count = 20_000
        let messages = ViewMessages()
        let bench = try ViewBench((0..<count).map { Self.document($0, state: $0 % 4) }, logger: messages.logger)
        let design = Self.overview
        let total = count * (count - 1) / 2
        try await bench.expect(design, gives: ["null {\"count\":\(count),\"sum\":\(total)}"])
        #expect(!messages.take().isEmpty)

        try bench.log.put(Self.document(777, state: 3))
        try await bench.expect(design, gives: ["null {\"count\":\(count),\"sum\":\(total)}"])
        var calls = messages.take()
        #expect(calls.filter { $0 == "map" }.count == 1)
        var values = calls.compactMap { Int($0) }
        // Two paths from a leaf to the root change, and the root's own children are gathered once more for the answer.
        #expect(values.count <= 12 && values.reduce(0, +) <= 600, "\(values)")

        // Nothing changed: no function is asked but for the pieces of the range.
        _ = try await bench.rows(design) {
            $0.startKey = [1, 1000]
            $0.endKey = [2, 15000]
        }
        calls = messages.take()
        #expect(!calls.contains("map"))
        values = calls.compactMap { Int($0) }
        #expect(values.count <= 3 && values.reduce(0, +) <= 400, "\(values)")

        let groups = try await bench.rows(design) { $0.groupLevel = 1 }
        #expect(groups.count == 4)
        values = messages.take().compactMap { Int($0) }
        #expect(values.count <= 12 && values.reduce(0, +) <= 1600, "\(values)")
        try await bench.views.removeAll()
    }
}
