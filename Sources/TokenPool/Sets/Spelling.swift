/// Guesses which word was meant.
enum Spelling {
    /// The known word nearest to this one, when it is near enough to have been meant.
    static func nearest(to word: String, among known: [String]) -> String? {
        let lower = Array(word.lowercased())
        // In a word of one or two letters nothing but the case can be a slip.
        let limit = lower.count < 3 ? 0 : max(1, lower.count / 3)
        return known.map { (word: $0, distance: distance(lower, Array($0.lowercased()))) }
            .filter { $0.distance <= limit }
            .min { $0.distance < $1.distance }?.word
    }

    /// `; did you mean "x"?`, or which words are known.
    static func hint(for word: String, among known: [String]) -> String {
        if let near = nearest(to: word, among: known) { return "; did you mean \"\(near)\"?" }
        return known.isEmpty ? "" : "; known are " + known.joined(separator: ", ")
    }

    /// Insertions, deletions, substitutions and swaps of neighbours that lead from one to the other.
    private static func distance(_ left: [Character], _ right: [Character]) -> Int {
        var rows = [Array(0...right.count)]
        for i in 0..<left.count {
            var row = [i + 1]
            for j in 0..<right.count {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (left[i] == right[j] ? 0 : 1))
                if i > 0, j > 0, left[i] == right[j - 1], left[i - 1] == right[j] {
                    best = min(best, rows[i - 1][j - 1] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
