import CouchDocument

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the system says of this process.
struct ProcessFigures: Sendable {
    /// Seconds since the server began.
    let uptime: Int
    /// Bytes.
    let residentMemory: Int
    let peakMemory: Int
    let threads: Int
    let openFiles: Int
    let contextSwitches: Int
    /// Bytes read and written, files and sockets alike.
    let input: Int
    let output: Int

    init(uptime: Int) {
        self.uptime = uptime
        let status = Self.fields(of: "/proc/self/status")
        residentMemory = (status["VmRSS"] ?? 0) << 10
        peakMemory = (status["VmHWM"] ?? 0) << 10
        threads = status["Threads"] ?? 0
        contextSwitches = (status["voluntary_ctxt_switches"] ?? 0) + (status["nonvoluntary_ctxt_switches"] ?? 0)
        let traffic = Self.fields(of: "/proc/self/io")
        input = traffic["rchar"] ?? 0
        output = traffic["wchar"] ?? 0
        openFiles = Self.entries(of: "/proc/self/fd")
    }

    /// Lines such as `VmRSS:     1234 kB`. A system without these files says nothing, and the figures are 0.
    private static func fields(of path: String) -> [String: Int] {
        guard let file = fopen(path, "r") else { return [:] }
        defer { fclose(file) }
        var fields: [String: Int] = [:]
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, Int32(line.count), file) != nil {
            let text = line.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            let parts = text.split(whereSeparator: { $0 == ":" || $0 == " " || $0 == "\t" || $0 == "\n" })
            if parts.count >= 2, let value = Int(parts[1]) { fields[String(parts[0])] = value }
        }
        return fields
    }

    private static func entries(of path: String) -> Int {
        guard let folder = opendir(path) else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // `.`, `..` and the folder itself.
        return max(0, count - 3)
    }

    /// As at `_node/_local/_system`, with what of it there is outside of Erlang.
    var json: JSON {
        [
            "uptime": .integer(uptime),
            "memory": ["resident": .integer(residentMemory), "peak": .integer(peakMemory)],
            "os_proc_count": 0, "stale_proc_count": 0, "process_count": .integer(threads),
            "context_switches": .integer(contextSwitches), "io_input": .integer(input), "io_output": .integer(output),
            "open_files": .integer(openFiles), "message_queues": [:],
        ]
    }
}
