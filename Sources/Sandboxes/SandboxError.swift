/// What went wrong with a sandbox: one line for people, and a code for programs.
package struct SandboxError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: Hashable, Sendable {
        /// The description of the sandbox is not one.
        case illFormed
        /// The sandbox or a part of it is not where it should be.
        case missing
        /// The content is not what its digest says.
        case mismatch
        /// The archive holds what must not be unpacked: a way out of the folder, a device, too much.
        case unsafe
        /// The disk, a command or a library said no.
        case failed
    }

    package let code: Code
    package let reason: String

    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { reason }
}

extension SandboxError.Code {
    /// For `catch SandboxError.Code.mismatch`.
    package static func ~= (code: SandboxError.Code, error: any Error) -> Bool {
        (error as? SandboxError)?.code == code
    }
}
