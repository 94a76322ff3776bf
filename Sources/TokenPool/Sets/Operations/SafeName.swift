/// Names of files for ids and attachments, which can hold anything.
enum SafeName {
    /// One path component: what could leave the folder, hide the file or break a terminal is percent-encoded, and `%`
    /// with it, so that different names stay different.
    static func component(_ name: String) -> String {
        var result = ""
        var isFirst = true
        for scalar in name.unicodeScalars {
            let isBad =
                scalar == "/" || scalar == "\\" || scalar == "%" || scalar.value < 32 || scalar.value == 127
                || (0x80..<0xA0).contains(scalar.value)
                || (isFirst && (scalar == "." || scalar == "-" || scalar == "~"))
            if isBad {
                for unit in String(scalar).utf8 {
                    result += "%" + (unit < 16 ? "0" : "") + String(unit, radix: 16, uppercase: true)
                }
            } else {
                result.unicodeScalars.append(scalar)
            }
            isFirst = false
        }
        if result.isEmpty { return "%" }
        // Most file systems end names at 255 bytes.
        guard result.utf8.count > 240 else { return result }
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for unit in name.utf8 { hash = (hash ^ UInt64(unit)) &* 0x0000_0100_0000_01b3 }
        var short = ""
        for character in result where short.utf8.count + character.utf8.count <= 220 { short.append(character) }
        return short + "%" + String(hash, radix: 16)
    }

    /// A path below a folder: slashes in the name make folders, every part of it safe.
    static func path(_ name: String) -> String {
        let parts = name.split(separator: "/", omittingEmptySubsequences: true).map { component(String($0)) }
        return parts.isEmpty ? component(name) : parts.joined(separator: "/")
    }
}
