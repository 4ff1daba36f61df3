"""Go's templates, as far as records are written in them, and answers that are written so."""

from __future__ import annotations

import pytest

from pybernetes.dns import gotemplate, wire
from pybernetes.dns.corefile import CorefileError
from pybernetes.dns.gotemplate import TemplateError, parse
from pybernetes.dns.plugin import ServeError
from pybernetes.dns.plugins import template
from pybernetes.dns.wire import Answer

from .chains import Behind, address, context, directive, query, serve

DATA: dict[str, gotemplate.Value] = {
    "Name": "a.example.",
    "Match": ["a.b.", "a", "7"],
    "Group": {"one": "a", "2": "7"},
    "Question": {"Qtype": 1},
    "Empty": "",
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain", "plain"),
        ("{{ .Name }}!", "a.example.!"),
        ("{{.Group.one}}{{ $.Group.one }}", "aa"),
        ("{{ .Group.nobody }}", "<no value>"),
        ("{{ index .Match 1 }}", "a"),
        ('{{ index .Group "2" }}', "7"),
        ("{{ .Match }}", "[a.b. a 7]"),
        ("{{ len .Match }}", "3"),
        ('{{ printf "%s-%03d-%x" .Name 7 255 }}', "a.example.-007-ff"),
        ('{{ parseInt (index .Match 2) 10 64 | printf "%d" }}', "7"),
        ('{{ printf "%5s|%-5s|%q|%%|%d" "x" "y" "z" "w" }}', '    x|y    |"z"|%|%!d(w)'),
        ('{{ printf "%s" }}', "%!s(MISSING)"),
        ('{{ if eq .Name "a.example." }}yes{{ else }}no{{ end }}', "yes"),
        ("{{ if .Empty }}1{{ else if lt .Question.Qtype 5 }}2{{ else }}3{{ end }}", "2"),
        ("{{ if and .Name (not .Empty) }}x{{ end }}", "x"),
        ('{{ or .Empty "other" }}', "other"),
        ("a {{- .Name -}} b", "aa.example.b"),
        ("{{/* nothing */}}x", "x"),
        ('{{ slice .Name 0 1 }}{{ print 1 true "x" }}', "a1truex"),
        ("{{ `raw` }}", "raw"),
    ],
)
def test_what_comes_out(text: str, result: str) -> None:
    assert parse(text).execute(DATA) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ .Name", "unclosed action"),
        ("{{ }}", "missing value for command"),
        ("{{ nobody .Name }}", 'function "nobody" not defined'),
        ("{{ range .Match }}{{ end }}", "range is not there"),
        ("{{ if .Name }}", "unexpected EOF"),
        ("{{ end }}", "unexpected {{end}}"),
        ("{{ (.Name }}", "unclosed left paren"),
        ("{{ .Name .Name }}", "can't give argument to non-function"),
        ("{{ % }}", "unexpected '%'"),
        ("{{ " + "(" * 100 + ".Name" + ")" * 100 + " }}", "more than 32 levels"),
        ("{{ if .Name }}" * 100 + "{{ end }}" * 100, "more than 32 levels"),
    ],
)
def test_what_is_no_template(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ .Nobody }}", "can't evaluate field Nobody"),
        ("{{ .Name.x }}", "can't evaluate field x in .Name"),
        ("{{ index .Match 9 }}", "index out of range: 9"),
        ('{{ parseInt "x" 10 8 }}', 'parsing "x": invalid syntax'),
        ('{{ parseInt "256" 10 8 }}', "value out of range"),
        ('{{ lt "a" 1 }}', "incompatible types for comparison"),
        ("{{ len 1 }}", "error calling len"),
        ("{{ not }}", "error calling not"),
        (
            '{{ printf "%s" "' + "x" * 60000 + '" }}{{ printf "%9999s%9999s" "x" "y" }}' + "x" * 9999,
            "more than 65535 characters come out",
        ),
    ],
)
def test_what_cannot_be_filled_in(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        parse(text).execute(DATA)
    assert message in str(caught.value)


def made(*texts: str, lookup: Behind | None = None) -> template.Templates:
    block = context()
    if lookup is not None:
        block.lookup = lookup
    plugin = template.Templates([template.parse(directive(text), block) for text in texts], block)
    plugin.next = Behind(address("behind."))
    return plugin


IPS = 'template IN A example {\n match ^ip-(?P<a>[0-9]+)[.] ^x-([0-9]+)[.]\n answer "{{ .Name }} 60 IN A 192.0.2.{{ index .Match 1 }}"\n PROPERTY\n}'


@pytest.mark.parametrize(
    ("name", "type", "cls", "rcode", "last"),
    [
        ("ip-7.example.", wire.A, wire.IN, wire.NOERROR, 7),
        ("x-9.example.", wire.A, wire.IN, wire.NOERROR, 9),
        ("ip-7.example.", wire.ANY, wire.IN, wire.NOERROR, 7),
        (
            "other.example.",
            wire.A,
            wire.IN,
            wire.SERVFAIL,
            None,
        ),  # its zone and type, and no pattern: upstream's answer
        ("ip-7.example.", wire.AAAA, wire.IN, wire.NOERROR, 1),  # the next plugin's
        ("ip-7.example.", wire.A, wire.CHAOS, wire.NOERROR, 1),
        ("ip-7.other.", wire.A, wire.IN, wire.NOERROR, 1),
    ],
)
def test_what_matches(name: str, type: int, cls: int, rcode: int, last: int | None) -> None:
    asked = query(name, type)
    asked.cls = cls
    answer = serve(made(IPS.replace("PROPERTY", "upstream")), asked)
    assert (answer.rcode, answer.answer[0].data[-1] if answer.answer else None) == (rcode, last)


def test_the_next_template_and_the_next_plugin() -> None:
    first = IPS.replace("PROPERTY", "fallthrough")
    second = 'template ANY ANY {\n match second\n rcode NXDOMAIN\n authority "{{ .Zone }} 60 IN SOA a. b. 1 2 3 4 5"\n fallthrough\n}'
    answer = serve(made(first, second), query("second.example."))
    assert (answer.rcode, answer.authority[0].type) == (wire.NXDOMAIN, wire.SOA)
    assert serve(made(first, second), query("third.example.")).answer[0].name == "behind."


def test_aliases_are_followed() -> None:
    lookup = Behind(lambda q: address(q.name))
    plugin = made('template IN ANY {\n answer "{{ .Name }} 60 IN CNAME to.example."\n}', lookup=lookup)
    assert [r.type for r in serve(plugin, query("a.example.")).answer] == [wire.CNAME, wire.A]
    assert [r.type for r in serve(plugin, query("a.example.", wire.MX)).answer] == [wire.CNAME]
    assert lookup.asked == [("to.example.", wire.A)]


def test_an_extended_error() -> None:
    answer = serve(made('template IN A {\n rcode REFUSED\n ederror 21 "not here"\n}'), query("a.example."))
    assert answer == Answer(wire.REFUSED, flags=wire.AA, options=((15, b"\0\x15not here"),), plugin="template")


def test_what_is_no_record_is_told() -> None:
    for text in ("{{ .Name }} nonsense", "{{ .Nobody }}"):
        with pytest.raises(ServeError, match="template: "):
            serve(made(f'template IN A {{\n answer "{text}"\n}}'), query("a.example."))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("template IN", "Wrong argument count"),
        ("template XX A", "invalid query class XX"),
        ("template IN XX", "invalid RR class XX"),
        ("template IN A {\n match (\n}", "could not parse regex: (, error parsing regexp: missing closing ): `(`"),
        ("template IN A {\n answer {{\n}", "could not compile template: answer, "),
        ("template IN A {\n rcode FOO\n}", "unknown rcode FOO"),
        ("template IN A {\n ederror x\n}", "error parsing extended DNS error code x"),
        ("template IN A {\n expr true\n}", "expr is not there"),
        ("template IN A {\n foo\n}", "Wrong argument count"),
        ("template IN A {\n match " + "a" * 10001 + "\n}", "regex pattern too long: 10001 > 10000"),
    ],
)
def test_mistakes(text: str, message: str) -> None:
    with pytest.raises(CorefileError) as caught:
        template.setup(directive(text), context())
    assert message in str(caught.value)
