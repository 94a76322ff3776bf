/// What a configuration of GRID_LRT needs beside itself to become a set: there, a program of the user's said it.
public struct GridLRTOptions: Sendable {
    /// The token type; by default the file's own, else the file's name.
    public var type: String?
    /// The middle of the ids (`id_append`); by default the observation, else `L000000`.
    public var append: String?
    /// What stands before the subband in ids (`id_prefix`); by default `SB`.
    public var idPrefix = "SB"
    /// The field that holds the subband (`key_name`); by default `STARTSB`.
    public var keyName = "STARTSB"
    /// The list of links that makes the tokens, one a slice; without it the file makes one token.
    public var srmList: String?
    /// Subbands a slice; by default ten.
    public var slice = 10
    /// The observation, for the field `OBSID` and the ids; by default the list's own.
    public var observation: String?
    /// Whether all links must be of one observation.
    public var checksObservation = true
    /// The name under which the links are attached (`file_upload`); by default `srm.txt`.
    public var uploadName = "srm.txt"
    /// Files that every token gets, by the names of the attachments.
    public var attachments: [(name: String, path: String)] = []
    /// The field `created` of tokens of YAML files; by default now.
    public var created = SystemClock().now()

    /// GRID_LRT's defaults.
    public init() {}
}
