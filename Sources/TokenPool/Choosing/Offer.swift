public import CouchDocument

/// What a worker offers to tokens, or what of it is left.
///
/// `cores`, `memory` and `gpus` are used up by the tokens that run; `walltime` is how long the worker still has; any other
/// name is a label that is only compared.
public struct Offer: Hashable, Sendable {
    /// Processor cores. A token that does not say needs one.
    public var cores: Int
    /// Bytes; `nil`: nobody knows, so it suits every token.
    public var memory: Int?
    /// Graphics processors.
    public var gpus: Int
    /// How long the worker still has; `nil`: as long as it takes.
    public var walltime: Duration?
    /// Anything else that tokens may ask for: the machine's kind, its site, licences.
    public var labels: JSONObject

    /// An offer of these parts.
    public init(
        cores: Int = 1, memory: Int? = nil, gpus: Int = 0, walltime: Duration? = nil, labels: JSONObject = [:]
    ) {
        self.cores = cores
        self.memory = memory
        self.gpus = gpus
        self.walltime = walltime
        self.labels = labels
    }

    /// Whether a token with these requirements may run.
    public func admits(_ requires: JSONObject) -> Bool { missing(for: requires).isEmpty }

    /// Which of these requirements are not met, by name. A requirement that is no requirement is not met.
    public func missing(for requires: JSONObject) -> [String] {
        var missing = cores >= (requires["cores"] == nil ? 1 : 0) ? [] : ["cores"]
        for (name, value) in requires {
            let isMet: Bool
            switch name {
            case "cores": isMet = value.numberValue.map { Double(cores) >= $0 } ?? false
            case "memory": isMet = value.numberValue.map { Double(memory ?? .max) >= $0 } ?? false
            case "gpus": isMet = value.numberValue.map { Double(gpus) >= $0 } ?? false
            case "walltime":
                isMet =
                    value.numberValue.map { seconds in
                        walltime.map { Double($0.wholeMilliseconds) >= seconds * 1000 } ?? true
                    } ?? false
            default: isMet = Self.suits(labels[name], value)
            }
            if !isMet { missing.append(name) }
        }
        return missing
    }

    /// A number wants as much or more, a list one of its values, `true` that there is such a label, anything else the same.
    private static func suits(_ offered: JSON?, _ wanted: JSON) -> Bool {
        guard let offered else { return wanted == false }
        if let list = wanted.arrayValue { return list.contains { suits(offered, $0) } }
        if let list = offered.arrayValue { return list.contains { suits($0, wanted) } }
        if wanted == true { return offered != false }
        if let have = offered.numberValue, let want = wanted.numberValue { return have >= want }
        return offered == wanted
    }

    /// What is left beside a token with these requirements.
    public func less(_ requires: JSONObject) -> Offer {
        func amount(_ name: String, _ fallback: Double) -> Int {
            let value = requires[name]?.numberValue ?? fallback
            return Int(min(max(value, 0), 1e15).rounded(.up))
        }
        var left = self
        left.cores -= amount("cores", 1)
        left.memory = memory.map { $0 - amount("memory", 0) }
        left.gpus -= amount("gpus", 0)
        return left
    }

    /// How many tokens with these requirements may run at once, at most so many.
    func room(for requires: JSONObject, atMost limit: Int) -> Int {
        var left = self
        var count = 0
        while count < limit, left.admits(requires) {
            left = left.less(requires)
            count += 1
        }
        return count
    }

    /// As it stands in a worker's document.
    public var json: JSON {
        var fields: JSONObject = ["cores": .integer(cores)]
        fields["memory"] = memory.map(JSON.integer)
        fields["gpus"] = .integer(gpus)
        fields["walltime"] = walltime.map { .integer(Int($0.components.seconds)) }
        fields.merge(labels)
        return .object(fields)
    }

    /// Reads the offer in a worker's document.
    public init?(_ json: JSON?) {
        guard var fields = json?.objectValue else { return nil }
        cores = fields["cores"]?.intValue ?? 1
        memory = fields["memory"]?.intValue
        gpus = fields["gpus"]?.intValue ?? 0
        walltime = fields["walltime"]?.intValue.map { .seconds($0) }
        for name in ["cores", "memory", "gpus", "walltime"] { fields[name] = nil }
        labels = fields
    }
}
