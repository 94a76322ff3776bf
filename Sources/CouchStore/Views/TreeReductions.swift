/// What keeps the reductions of a row tree: one list of functions for all its nodes.
struct TreeReductions {
    let functions: [ViewReduce]
    /// Where the functions in JavaScript are run.
    let scripts: ViewScripts

    /// What the rows of each leaf reduce to, a kept form for each function.
    func reduce(leaves: [TreeNode]) throws -> [[ArraySlice<UInt8>]] {
        try fill(
            leaves, builtin: { function, leaf in function.reduce(leaf, 0..<leaf.count) },
            javaScript: { calls, index, leaf in calls.reduce(index, leaf, leaf.rows) })
    }

    /// What the children of each node reduce to together.
    func merge(nodes: [[TreeNode.Child]]) throws -> [[ArraySlice<UInt8>]] {
        var results = [[ArraySlice<UInt8>]](repeating: [], count: nodes.count)
        for (position, function) in functions.enumerated() {
            let merged = try fill(
                nodes, only: function,
                builtin: { function, children in function.merge(children.lazy.map { $0.reductions[position] }) },
                javaScript: { calls, index, children in
                    calls.rereduce(index, children.lazy.map { $0.reductions[position] })
                })
            for index in nodes.indices { results[index].append(merged[index][0]) }
        }
        return results
    }

    private func fill<Element>(
        _ elements: [Element], only: ViewReduce? = nil, builtin: (BuiltinReduce, Element) -> [UInt8],
        javaScript: (inout ReduceCalls, Int, Element) -> Void
    ) throws -> [[ArraySlice<UInt8>]] {
        var results = [[ArraySlice<UInt8>]](repeating: [], count: elements.count)
        for function in only.map({ [$0] }) ?? functions {
            switch function {
            case .builtin(let name):
                for (index, element) in elements.enumerated() { results[index].append(builtin(name, element)[...]) }
            case .javaScript(let number):
                var calls = ReduceCalls()
                for element in elements { javaScript(&calls, number, element) }
                let values = try scripts.begin { [calls] engine in try engine.run(calls) }.wait()
                for index in elements.indices { results[index].append(values[index][...]) }
            }
        }
        return results
    }
}
