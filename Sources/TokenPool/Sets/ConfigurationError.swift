/// Where something stands in a configuration file.
public struct ConfigurationPlace: Hashable, Sendable, CustomStringConvertible {
    /// The file as the user named it.
    public let file: String
    /// The line, from 1; 0 when the whole file is meant.
    public let line: Int
    /// The column, from 1; 0 when the whole line is meant.
    public let column: Int

    /// A place in a file.
    public init(file: String, line: Int = 0, column: Int = 0) {
        self.file = file
        self.line = line
        self.column = column
    }

    /// `file:line:column`, as compilers write it.
    public var description: String {
        if line == 0 { return file }
        return column == 0 ? "\(file):\(line)" : "\(file):\(line):\(column)"
    }
}

/// What is wrong with a configuration, or with a file that it names: one line, with the place.
public struct ConfigurationError: Error, Hashable, CustomStringConvertible {
    /// Where the trouble is.
    public let place: ConfigurationPlace
    /// What it is and what to write instead.
    public let reason: String

    /// An error at a place.
    public init(_ place: ConfigurationPlace, _ reason: String) {
        self.place = place
        self.reason = reason
    }

    /// `file:line:column: reason`.
    public var description: String { "\(place): \(reason)" }
}
