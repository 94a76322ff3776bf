/// The version of tokenpool: the same in the command, in the daemon and in what they write.
package enum ProductVersion {
    /// Major, minor and patch number.
    package static let text = "0.1.0"
}
