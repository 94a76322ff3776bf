import Foundation

/// Lines over two logarithmic axes, written as SVG: small, for light and dark pages, each line named where it ends.
struct LineChart {
    struct Line {
        let name: String
        let points: [(x: Double, y: Double)]
    }

    let title: String
    let horizontal: String
    let vertical: String
    let lines: [Line]
    /// The smallest value that is shown; smaller ones lie on the edge. A power of ten.
    let floor: Double

    private static let (width, height) = (680.0, 380.0)
    private static let (left, right, top, bottom) = (78.0, 540.0, 40.0, 318.0)

    private var xs: ClosedRange<Double> { Self.decades(lines.flatMap { $0.points.map(\.x) }, atLeast: 1) }
    private var ys: ClosedRange<Double> { Self.decades(lines.flatMap { $0.points.map(\.y) }, atLeast: floor) }

    /// The whole powers of ten around the values, as exponents.
    private static func decades(_ values: [Double], atLeast floor: Double) -> ClosedRange<Double> {
        let shown = values.map { log10(max($0, floor)) }
        let low = (shown.min() ?? 0).rounded(.down)
        return low...max(low + 1, (shown.max() ?? 1).rounded(.up))
    }

    private func x(_ value: Double) -> Double {
        Self.left + (log10(max(value, 1)) - xs.lowerBound) / (xs.upperBound - xs.lowerBound) * (Self.right - Self.left)
    }

    private func y(_ value: Double) -> Double {
        let exponent = max(log10(max(value, floor)), ys.lowerBound)
        return Self.bottom - (exponent - ys.lowerBound) / (ys.upperBound - ys.lowerBound) * (Self.bottom - Self.top)
    }

    /// The chart as a file.
    var svg: String {
        var parts = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.number(Self.width)) \(Self.number(Self.height))" \
            role="img" aria-label="\(Self.escaped(title))">
            <style>
            text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:15px}
            .grid{stroke:#d0d7de}.axis{stroke:#59636e}.line{fill:none;stroke-width:2.5;stroke-linejoin:round}
            .c0{stroke:#0969da;fill:#0969da}.c1{stroke:#bc4c00;fill:#bc4c00}.c2{stroke:#1a7f37;fill:#1a7f37}.c3{stroke:#8250df;fill:#8250df}
            @media(prefers-color-scheme:dark){text{fill:#e6edf3}.grid{stroke:#30363d}.axis{stroke:#9198a1}
            .c0{stroke:#58a6ff;fill:#58a6ff}.c1{stroke:#f0883e;fill:#f0883e}.c2{stroke:#3fb950;fill:#3fb950}.c3{stroke:#bc8cff;fill:#bc8cff}}
            .line{fill:none!important}
            </style>
            """, text(title, Self.left, 20, "start", "title"),
        ]
        for exponent in stride(from: xs.lowerBound, through: xs.upperBound, by: 1) {
            let place = x(pow(10, exponent))
            parts.append(rule(place, Self.top, place, Self.bottom, "grid"))
            parts.append(text(Self.label(exponent), place, Self.bottom + 18, "middle"))
        }
        for exponent in stride(from: ys.lowerBound, through: ys.upperBound, by: 1) {
            let place = y(pow(10, exponent))
            parts.append(rule(Self.left, place, Self.right, place, "grid"))
            parts.append(text(Self.label(exponent), Self.left - 8, place + 4, "end"))
        }
        parts.append(rule(Self.left, Self.bottom, Self.right, Self.bottom, "axis"))
        parts.append(rule(Self.left, Self.top, Self.left, Self.bottom, "axis"))
        parts.append(text(horizontal, (Self.left + Self.right) / 2, Self.bottom + 44, "middle"))
        let middle = Self.number((Self.top + Self.bottom) / 2)
        parts.append(
            "<text transform=\"translate(18 \(middle)) rotate(-90)\" text-anchor=\"middle\">\(Self.escaped(vertical))</text>"
        )
        parts += drawn
        return parts.joined(separator: "\n") + "\n</svg>\n"
    }

    private var drawn: [String] {
        var parts: [String] = []
        // Names of lines that end close together are moved apart.
        let ends = lines.indices.sorted { end(of: $0) < end(of: $1) }
        var names: [Int: Double] = [:]
        var last = -Double.infinity
        for index in ends {
            last = max(end(of: index), last + 16)
            names[index] = last
        }
        // Each has a dash of its own, for those who do not see its colour.
        let dashes = ["", " stroke-dasharray=\"8 4\"", " stroke-dasharray=\"2 4\"", " stroke-dasharray=\"10 3 2 3\""]
        for (index, line) in lines.enumerated() {
            let colour = "c\(index % 4)"
            let path = line.points.map { "\(Self.number(x($0.x))),\(Self.number(y($0.y)))" }
            parts.append(
                "<polyline class=\"line \(colour)\"\(dashes[index % 4]) points=\"\(path.joined(separator: " "))\"/>")
            for point in line.points {
                parts.append(
                    "<circle class=\"\(colour)\" cx=\"\(Self.number(x(point.x)))\" cy=\"\(Self.number(y(point.y)))\" r=\"3\"/>"
                )
            }
            if let last = line.points.last, let place = names[index] {
                parts.append(text(line.name, x(last.x) + 10, place + 4, "start"))
            }
        }
        return parts
    }

    private func end(of index: Int) -> Double { lines[index].points.last.map { y($0.y) } ?? 0 }

    private func rule(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ kind: String) -> String {
        "<line class=\"\(kind)\" x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" y2=\"\(Self.number(y2))\"/>"
    }

    private func text(_ text: String, _ x: Double, _ y: Double, _ anchor: String, _ kind: String? = nil) -> String {
        let style = kind.map { " class=\"\($0)\"" } ?? ""
        return
            "<text\(style) x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor)\">\(Self.escaped(text))</text>"
    }

    private static func number(_ value: Double) -> String {
        let text = String(format: "%.1f", value)
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// A power of ten for people: 0.01, 1, 1,000.
    static func label(_ exponent: Double) -> String {
        if exponent < 0 { return String(format: "%.\(Int(-exponent))f", pow(10, exponent)) }
        let digits = "1" + String(repeating: "0", count: Int(exponent))
        var groups: [Substring] = []
        var rest = digits[...]
        while !rest.isEmpty {
            groups.append(rest.suffix(3))
            rest = rest.dropLast(3)
        }
        return groups.reversed().joined(separator: ",")
    }

    private static func escaped(_ text: String) -> String {
        text.replacingOccurrences(of: "&", with: "&amp;").replacingOccurrences(of: "<", with: "&lt;")
            .replacingOccurrences(of: "\"", with: "&quot;")
    }
}
