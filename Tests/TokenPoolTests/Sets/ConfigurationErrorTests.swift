import Testing

@testable import TokenPool

@Suite("Bad configurations")
struct ConfigurationErrorTests {
    @Test(
        "each is refused with one line that names file, line and column",
        arguments: [
            ("set: a\ntokens: 3\n", "set.yaml:2:9: \"tokens\" must be a list or a mapping, not the number 3"),
            (
                "set: a\ncomand: x\ntokens: [1]\n",
                "set.yaml:2:1: key \"comand\" is not known here; did you mean \"command\"?"
            ),
            (
                "set: a\ntokens: {rnage: 1..3}\n",
                "set.yaml:2:10: key \"rnage\" is not known here; did you mean \"range\"?"
            ),
            (
                "set: a\ntokens: {range: 1..3, at: x}\n",
                "set.yaml:2:23: key \"at\" is not known here; known are range"
            ),
            (
                "set: a\ntokens:\n  range: 1..3\n  lines: x\n",
                "set.yaml:4:3: \"tokens\" wants one of list, range, matrix, lines, csv, files, json, srm, not both \"range\" and \"lines\""
            ),
            (
                "set: a\n",
                "set.yaml: key \"tokens\" is missing: it says what makes the tokens, such as `tokens: {range: {from: 1, to: 10}}`"
            ),
            ("tokens: [1]\n", "set.yaml: key \"set\" is missing: it names the set, such as `set: survey-1`"),
            ("set: [1]\ntokens: [1]\n", "set.yaml:1:6: \"set\" must be a text, not a list"),
            (
                "set: _a\ntokens: [1]\n",
                "set.yaml:1:1: a set's name has 1 to 200 bytes, no control characters and no \"_\" at its beginning"
            ),
            (
                "set: a\ntokens: [1]\nretries: three\n",
                "set.yaml:3:10: \"retries\" must be a whole number from 0 on, not the text \"three\""
            ),
            (
                "set: a\ntokens: [1]\ntime_limit: soon\n",
                "set.yaml:3:13: \"time_limit\" must be a duration such as 90s, 5m or 1h30m, not the text \"soon\""
            ),
            (
                "set: a\ntokens: [1]\nrequires: {cores: 0}\n",
                "set.yaml:3:19: \"cores\" must be a whole number from 1 on, not the number 0"
            ),
            (
                "set: a\ntokens: [1]\nrequires: {core: 1}\n",
                "set.yaml:3:12: key \"core\" is not known here; did you mean \"cores\"?"
            ),
            (
                "set: a\ntokens: [1]\nrequires: {memory: lots}\n",
                "set.yaml:3:20: \"memory\" must be a size such as 500K, 8G or 8GB, not the text \"lots\""
            ),
            ("set: a\ntokens: [1]\nfields: 7\n", "set.yaml:3:9: \"fields\" must be a mapping, not the number 7"),
            (
                "set: a\ntokens: [1]\nfields: {lock: 7}\n",
                "set.yaml:3:10: field \"lock\" is tokenpool's own and can not be set here"
            ),
            (
                "set: a\ntokens: [1]\ncommand: {a: b}\n",
                "set.yaml:3:10: \"command\" must be a text for the shell or a list of arguments, not a mapping"
            ),
            (
                "set: a\ntokens: [{x: 1}]\ncommand: echo {y}\n",
                "set.yaml:3:10: there is no value {y}; known are x, set, name, id, number, index, input, pool"
            ),
            (
                "set: a\ntokens: [{colour: 1}]\nname: \"{color}\"\n",
                "set.yaml:3:7: there is no value {color}; did you mean \"colour\"?"
            ),
            (
                "set: a\ntokens: [1]\nenvironment: {1A: x}\n",
                "set.yaml:3:15: \"1A\" is no name of an environment variable"
            ),
            (
                "set: a\ntokens: {lines: none.txt}\n",
                "set.yaml:2:17: file \"none.txt\" does not exist (looked for none.txt)"
            ),
            (
                "set: a\ntokens: {files: '*.fits'}\n",
                "set.yaml:2:17: no file matches \"*.fits\" (looked for *.fits)"
            ),
            (
                "set: a\ntokens: {range: {from: 1, to: 9, step: 0}}\n",
                "set.yaml:2:17: a range with step 0 never ends"
            ),
            (
                "set: a\ntokens: {range: {from: 5, to: 1}}\n",
                "set.yaml:2:17: a range from 5 never comes to 1 by steps of 1"
            ),
            (
                "set: a\ntokens:\n  matrix: {x: [1, 2]}\n  exclude: [{y: 1}]\n",
                "set.yaml:4:14: the matrix has no axis \"y\"; known are x"
            ),
            (
                "set: a\ntokens:\n  matrix: {x: [1, 2]}\n  exclude: [{x: 3}]\n",
                "set.yaml:4:17: axis \"x\" has no value 3"
            ),
            (
                "set: a\ntokens: [1]\nsandbox: nowhere\n",
                "set.yaml:3:10: sandbox \"nowhere\" does not exist (looked for nowhere)"
            ),
            (
                "set: a\ntokens: [1]\nsandbox: {url: 'https://x/y.tar', git: z}\n",
                "set.yaml:3:10: \"sandbox\" wants one of folder, archive, url, git, attachment, not url and git"
            ),
            ("set: a\nset: b\ntokens: [1]\n", "set.yaml:1:1: key \"set\" appears twice"),
            ("set: a\ntokens: [1\n", "set.yaml:3:1: this is no YAML: did not find expected ',' or ']'"),
            ("", "set.yaml: the file is empty"),
            ("- 1\n", "set.yaml:1:1: a set is a mapping with keys, not a list"),
            (
                "set: a\ntokens: []\n", "set.yaml: the configuration makes no token: its source is empty"
            ),
            (
                "set: a\ninclude: more.yaml\ntokens: [1]\n",
                "set.yaml:2:10: included file \"more.yaml\" does not exist"
            ),
            ("set: a\ninclude: set.yaml\ntokens: [1]\n", "set.yaml:2:10: \"set.yaml\" includes itself"),
            (
                "set: a\ntokens: [{n: 1}, {n: 2}, {n: 1}]\nname: \"x{n}\"\n",
                "set.yaml: two tokens have the id \"a_x1\": from set.yaml:2:10 and from set.yaml:2:26; make `name` tell them apart"
            ),
            (
                "set: a\ntokens: [{n: 1}, {m: 2}]\nname: \"{n}\"\n",
                "set.yaml:3:7: there is no value {n}; known are m, set, number, index (set.yaml:2:18)"
            ),
            (
                "set: a\ntokens: [1]\nattachments: {x: {file: none.txt}}\n",
                "set.yaml:3:25: file \"none.txt\" does not exist (looked for none.txt)"
            ),
            (
                "set: a\ntokens: [1]\npriority: high\n",
                "set.yaml:3:11: \"priority\" must be a whole number, not the text \"high\""
            ),
            (
                "set: a\ntokens: [1]\nnot_before: tomorrow\n",
                "set.yaml:3:13: \"not_before\" must be a time such as 2030-01-31T18:00:00Z or seconds since 1970, not the text \"tomorrow\""
            ),
        ])
    func table(yaml: String, message: String) throws { #expect(try refusal(yaml) == message) }

    @Test("an error in a data file names its line")
    func dataFiles() throws {
        #expect(
            try refusal("set: a\ntokens: {csv: t.csv}\n", files: ["t.csv": "a,b\n1,2\n3\n"])
                == "t.csv:3: 1 values for 2 columns")
        #expect(
            try refusal("set: a\ntokens: {csv: t.csv}\n", files: ["t.csv": "a,a\n1,2\n"])
                == "t.csv:1: column \"a\" appears twice")
        #expect(
            try refusal("set: a\ntokens: {json: t.jsonl}\n", files: ["t.jsonl": "{\"a\":1}\n{\n"]).hasPrefix(
                "t.jsonl:2: this is no JSON: "))
        #expect(
            try refusal("set: a\ntokens: {json: t.json}\n", files: ["t.json": "{\"rows\":[]}"])
                == "t.json: the tokens want a list, not an object; name the member that holds the list with `at`")
        #expect(
            try refusal(
                "set: a\ntokens: {srm: l.txt}\n",
                files: ["l.txt": "srm://h/L12345_SB001_x.tar\nsrm://h/L99999_SB002_x.tar\n"])
                == "l.txt:2: the link is of observation L99999, those before it are of L12345; one list holds one observation"
        )
    }

    @Test("a variable that the file does not declare can not be set")
    func variables() throws {
        var options = SetConfiguration.Options()
        options.variables = [("smaples", "3")]
        #expect(
            try refusal("set: a\nvariables: {samples: 1}\ntokens: [1]\n", options: options)
                == "set.yaml:2:12: --set smaples: there is no variable of that name; did you mean \"samples\"?")
    }

    @Test("an error in an included file names that file")
    func included() throws {
        #expect(
            try refusal(
                "set: a\ninclude: base/more.yaml\ntokens: [1]\n", files: ["base/more.yaml": "# base\nretires: 3\n"])
                == "base/more.yaml:2:1: key \"retires\" is not known here; did you mean \"retries\"?")
    }
}
