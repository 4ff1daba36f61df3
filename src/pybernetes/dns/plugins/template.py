"""template CLASS TYPE [ZONES...]: answers that are written from the question (upstream: plugin/template)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pybernetes.api import goregexp

from .. import wire
from ..corefile import Directive
from ..gotemplate import Template, TemplateError, Value
from ..gotemplate import parse as parse_template
from ..plugin import MAX_REGEXP, BlockContext, Fall, Plugin, ServeError, fall_of, matching, zones_of
from ..rewriting import rcode
from ..wire import AA, AAAA, ANY, CNAME, EDE, NOERROR, SERVFAIL, TC, A, Answer, Query, Record
from ..zonefile import ZoneFileError, parse_record

NAME = "template"
ANY_CLASS = 255
SECTIONS = ("answer", "additional", "authority")


@dataclass(slots=True)
class Rule:
    """The directive."""

    cls: int
    type: int
    zones: list[str]
    patterns: list[tuple[str, goregexp.Pattern]] = field(default_factory=list)
    sections: dict[str, list[Template]] = field(default_factory=lambda: {name: [] for name in SECTIONS})
    rcode: int = NOERROR
    fall: Fall = field(default_factory=Fall)
    extended_error: bytes = b""


class Templates(Plugin):
    """All `template` directives of a block; the first that matches answers."""

    name = NAME

    def __init__(self, rules: Sequence[Rule], block: BlockContext) -> None:
        super().__init__()
        self.rules = list(rules)
        self._lookup = block.lookup

    async def serve(self, query: Query) -> Answer:
        for rule in self.rules:
            zone = matching(query.key, rule.zones)
            if not zone or (rule.cls not in (ANY_CLASS, query.cls) and query.cls != ANY_CLASS):
                continue
            if rule.type not in (ANY, query.type) and query.type != ANY:
                continue
            data = data_of(rule, query, zone)
            if data is not None:
                return await self._answer(rule, query, data)
            if not rule.fall.through(query.key):
                return Answer(SERVFAIL, plugin=NAME)
        return await self.next(query)

    async def _answer(self, rule: Rule, query: Query, data: Mapping[str, Value]) -> Answer:
        if rule.rcode == SERVFAIL:
            return Answer(SERVFAIL, plugin=NAME)
        answer = Answer(rule.rcode, flags=AA, plugin=NAME)
        for template in rule.sections["answer"]:
            record = filled(template, data)
            answer.answer.append(record)
            if record.type == CNAME and query.type in (A, AAAA):
                with contextlib.suppress(ServeError):
                    target = wire.read_name(record.data, 0)[0]
                    elsewhere = await self._lookup(query.asking(target, query.type))
                    answer.answer += elsewhere.answer
                    answer.flags |= elsewhere.flags & TC
        answer.additional = [filled(template, data) for template in rule.sections["additional"]]
        answer.authority = [filled(template, data) for template in rule.sections["authority"]]
        if rule.extended_error:
            answer.options = ((EDE, rule.extended_error),)
        return answer


def data_of(rule: Rule, query: Query, zone: str) -> dict[str, Value] | None:
    """What the templates may name; None where no pattern matches."""
    for text, pattern in rule.patterns:
        groups = pattern.groups(query.key)
        if groups is None:
            continue
        named = {str(number): group for number, group in enumerate(groups)}
        named |= {name: groups[number] for number, name in pattern.names.items()}
        return {
            "Zone": zone,
            "Name": query.key,
            "Regex": text,
            "Match": groups,
            "Group": named,
            "Class": wire.CLASSES.get(rule.cls if query.cls == ANY_CLASS else query.cls, ""),
            "Type": wire.type_name(rule.type if query.type == ANY else query.type),
            "Question": {"Name": query.name, "Qtype": query.type, "Qclass": query.cls},
            "Message": {"Id": query.id, "Opcode": query.opcode, "RecursionDesired": bool(query.flags & wire.RD)},
            "Remote": query.client[0],
        }
    return None


def filled(template: Template, data: Mapping[str, Value]) -> Record:
    """The record that comes out. ServeError."""
    try:
        return parse_record(template.execute(data))
    except (TemplateError, ZoneFileError) as error:
        raise ServeError(f"template: {template.text}: {error}") from error


def setup(directive: Directive, block: BlockContext) -> Plugin | None:
    """All of a block's templates are one plugin: the first directive's. CorefileError."""
    rule = parse(directive, block)
    for plugin in block.plugins:
        if isinstance(plugin, Templates):
            plugin.rules.append(rule)
            return None
    return Templates([rule], block)


def parse(directive: Directive, block: BlockContext) -> Rule:
    """The directive and its properties. CorefileError."""
    words = directive.arguments
    if len(words) < 2:
        raise directive.wrong_arguments()
    if words[0] not in wire.CLASS_NUMBERS:
        raise directive.error(f"invalid query class {words[0]}")
    if words[1] not in wire.TYPE_NUMBERS:
        raise directive.error(f"invalid RR class {words[1]}")
    rule = Rule(wire.CLASS_NUMBERS[words[0]], wire.TYPE_NUMBERS[words[1]], zones_of(words[2:], block))
    for prop in directive.properties:
        _property(prop, rule)
    if not rule.patterns:
        rule.patterns.append((".*", goregexp.compile(".*")))
    return rule


def _property(prop: Directive, rule: Rule) -> None:
    words = prop.arguments
    if prop.name == "match" and words:
        rule.patterns += [(word, _pattern(prop, word)) for word in words]
    elif prop.name in SECTIONS and words:
        for word in words:
            try:
                rule.sections[prop.name].append(parse_template(word))
            except TemplateError as error:
                raise prop.error(f"could not compile template: {prop.name}, {error}") from None
    elif prop.name == "rcode" and words:
        code = None if words[0].isdecimal() else rcode(words[0])
        if code is None or words[0] != words[0].upper():
            raise prop.error(f"unknown rcode {words[0]}")
        rule.rcode = code
    elif prop.name == "ederror" and len(words) in (1, 2):
        if not words[0].isdecimal() or int(words[0][:6]) > 65535:
            raise prop.error(f"error parsing extended DNS error code {words[0]}")
        rule.extended_error = int(words[0]).to_bytes(2, "big") + "".join(words[1:]).encode()[:256]
    elif prop.name == "fallthrough":
        rule.fall = fall_of(prop)
    elif prop.name in ("var", "expr"):
        raise prop.error(f"plugin/template: {prop.name} is not there")
    elif prop.name != "upstream":  # of old files; upstream ignores it, too
        raise prop.wrong_arguments()


def _pattern(prop: Directive, text: str) -> goregexp.Pattern:
    if len(text) > MAX_REGEXP:
        raise prop.error(f"regex pattern too long: {len(text)} > {MAX_REGEXP}")
    try:
        return goregexp.compile(text)
    except goregexp.RegexpError as error:
        raise prop.error(f"could not parse regex: {text}, {error}") from None
