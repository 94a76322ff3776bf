import Gateway

/// What `--dispatcher-config FILE.yaml` says: a section for each concern, all of which may be missing.
struct DispatcherConfiguration: Sendable {
    /// `sign_in`: who may sign in, how, and how often.
    var signIn = SignInSettings()

    /// `replicas` and `tape`: who says where files are, and who brings them from tape.
    var replicas = ReplicaConfiguration()

    /// The sections; whoever adds one adds a member above and a line to ``init(_:)``.
    private static let keys = ["sign_in", "replicas", "tape"]

    /// What holds without a file.
    init() {}

    /// Reads a file.
    ///
    /// - Throws: ``ConfigurationFault`` for a key that is unknown or wrong; ``StartRefusal`` for a file that can not be read.
    init(file: String) throws {
        guard let text = try DataFolder.read(file) else { throw StartRefusal(reason: "there is no file \(file)") }
        try self.init(ConfigurationSection.whole(text, file: file, known: Self.keys))
    }

    private init(_ whole: ConfigurationSection) throws {
        if let section = try whole.section("sign_in", known: SignInSettings.keys) {
            signIn = try SignInSettings(section)
        }
        if let section = try whole.section("replicas", known: ReplicaConfiguration.keys) {
            try replicas.readReplicas(section)
        }
        try replicas.readTape(whole, "tape")
    }
}
