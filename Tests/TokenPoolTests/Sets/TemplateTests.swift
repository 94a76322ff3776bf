import CouchDocument
import Testing

@testable import TokenPool

@Suite("Templates")
struct TemplateTests {
    private static let values: JSONObject = [
        "n": 7, "x": .double(0.25)!, "name": "a b", "evil": "$(rm -rf ~)`id`'\"\\", "words": ["-q", "0 1"],
        "item": ["path": "p", "list": [10, 20]], "text": "42", "braces": "{n} {{n}} {attachment:a b}", "nothing": .null,
        "attachment:a b/c.txt": "FILE",
    ]

    private func expand(_ text: String, quoting: Template.Quoting = .plain) throws -> String {
        try Template(text, quoting: quoting).expanded { Self.values[$0] }
    }

    @Test(
        "only {identifier} is a placeholder; all other braces are text",
        arguments: [
            ("{n}", "7"), ("a{n}b{x}", "a7b0.25"), ("{print $1}", "{print $1}"), ("{}", "{}"), ("{a,b}", "{a,b}"),
            ("${n}", "${n}"), ("{{n}}", "{n}"), ("{{{n}}}", "{{n}}"), ("{1}", "{1}"), ("{n", "{n"), ("n}", "n}"),
            ("{\"a\":{n}}", "{\"a\":7}"), ("{item.path}", "p"), ("{item.list.1}", "20"), ("{nothing}", ""),
            ("{item.list}", "[10,20]"), ("", ""), ("ü{n}é", "ü7é"), ("{attachment:a b/c.txt}", "FILE"),
            ("{{attachment:x}}", "{attachment:x}"), ("{n.}", "{n.}"),
        ])
    func grammar(template: String, expected: String) throws { #expect(try expand(template) == expected) }

    @Test(
        "numbers are written in the format that is asked for",
        arguments: [
            ("{n:03}", "007"), ("{x:.3}", "0.250"), ("{text:05d}", "00042"), ("{n:.1f}", "7.0"),
            ("{x:08.2}", "00000.25"),
        ])
    func formats(template: String, expected: String) throws { #expect(try expand(template) == expected) }

    @Test(
        "what can not be filled in is said in one line",
        arguments: [
            ("{no}", "there is no value {no}"), ("{item.no}", "{item} has no member \"no\""),
            ("{item.list.2}", "{item.list} has no member \"2\""),
            ("{name:03}", "{name:03} wants a number, not \"a b\""),
            ("{n:x}", "{n:x}: \":x\" is no number format; write {n:03} or {x:.2}"),
        ])
    func errors(template: String, message: String) {
        #expect { _ = try expand(template) } throws: { "\($0)" == message }
    }

    @Test("a template that is one placeholder keeps the value's type")
    func types() throws {
        #expect(try Template("{n}").value { Self.values[$0] } == 7)
        #expect(try Template("{item}").value { Self.values[$0] } == Self.values["item"])
        #expect(try Template(" {n}").value { Self.values[$0] } == " 7")
    }

    @Test(
        "a shell reads each value as text, wherever its placeholder stands",
        arguments: [
            ("printf %s {evil}", Self.evil), ("printf %s \"{evil}\"", Self.evil), ("printf %s '{evil}'", Self.evil),
            ("printf %s \"$(printf %s {evil})\"", Self.evil), ("printf %s \"$(printf %s \"{evil}\")\"", Self.evil),
            ("printf %s x{name}y", "xa by"), ("printf '%s|' {words}", "-q|0 1|"), ("printf %s ok # {evil} don't", "ok"),
            ("printf %s \\'{name}\\'", "'a b'"), ("printf %s {nothing}", ""),
        ])
    func shell(template: String, expected: String) throws {
        let command = try expand(template, quoting: .shell)
        #expect(try run(command) == expected, "\(command)")
    }

    static let evil = "$(rm -rf ~)`id`'\"\\"

    @Test(
        "places where nothing can be quoted are refused",
        arguments: [
            ("cat <<END\n{n}\nEND", "{n} can not stand behind \"<<\"; hand the value over in `environment`"),
            ("echo `echo {n}`", "{n} can not stand in backticks; write $(…)"),
            ("echo \\{n}", "{n} stands behind a backslash"),
        ])
    func refusals(template: String, message: String) {
        #expect { _ = try Template(template, quoting: .shell) } throws: { "\($0)" == message }
    }

    @Test(
        "expanding in two steps gives what one step gives, whatever the values hold",
        arguments: ["{braces} {later}", "{{n}} {later} {braces}", "{evil}{later}", "${later} {n}{later}"])
    func twoSteps(text: String) throws {
        let later: JSONObject = ["later": "L", "n": "WRONG"]
        for quoting in [Template.Quoting.plain, .shell] {
            let template = try Template(text, quoting: quoting)
            let first = try template.expanded(keeping: { $0 == "later" }) { Self.values[$0] }
            let second = try Template(first, quoting: quoting).expanded { later[$0] }
            #expect(try second == template.expanded { $0 == "later" ? "L" : Self.values[$0] })
        }
    }
}
