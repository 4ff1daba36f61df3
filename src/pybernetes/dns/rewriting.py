"""What rewrite rules do to questions, and to answers on their way back (upstream: plugin/rewrite). Pure.

A rule gives None for a question that is none of its business, else the question to ask and how its answer is turned back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pybernetes.api import goregexp

from . import wire
from .plugin import MAX_REGEXP
from .wire import CNAME, DNAME, MX, NAPTR, NS, PTR, SOA, SRV, Answer, Query, Record, absolute

_GROUP = re.compile(r"\{([0-9]{1,3})\}")
_MOST_GROUPS = 101  # {0} to {100}: what upstream looks for in a replacement
LONGEST_TTL = 2**31 - 1
KINDS = ("exact", "prefix", "suffix", "substring", "regex")
# Where the name stands in the data of types whose value may be rewritten.
_NAME_AT = {SRV: 6, MX: 2, CNAME: 0, NS: 0, DNAME: 0, PTR: 0, SOA: 0}


class RuleError(ValueError):
    """A rule that cannot be, in upstream's words."""


Turn = Callable[[Answer], Answer]  # an answer as it came, and as it goes on
Text = Callable[[str], str | None]  # a name, and what it becomes; None where nothing matches


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias in the answer whose target matches is turned to another one, which is looked up (rule cname)."""

    change: Text


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What is asked instead, and what happens to the answer; the rules' turns are taken from the last to the first."""

    query: Query
    turns: Sequence[Turn | Alias] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`stop`: the last rule where it matches."""

    apply: Callable[[Query], Rewritten | None]
    stop: bool


Reader = Callable[[Sequence[str]], Callable[[Query], "Rewritten | None"]]


def rule(words: Sequence[str], edns: Reader) -> Rule:
    """Of the words after `rewrite`; `edns` reads those after `edns0`. RuleError."""
    stop = True
    if words and words[0].lower() in ("stop", "continue"):
        stop = words[0].lower() == "stop"
        if len(words) < 2:
            raise RuleError(f"{words[0].lower()} rule must begin with a rule type")
        words = words[1:]
    if not words:
        raise RuleError("no rule type specified for rewrite")
    kind, rest = words[0].lower(), words[1:]
    if kind == "answer":
        raise RuleError("response rewrites must begin with a name rule")
    if kind in ("class", "type") and len(rest) != 2:
        raise RuleError(f"{kind} rules must have exactly two arguments")
    readers: dict[str, Reader] = {"name": name_rule, "class": class_rule, "type": type_rule, "ttl": ttl_rule}
    readers |= {"rcode": rcode_rule, "cname": cname_rule, "edns0": edns}
    if kind not in readers:
        raise RuleError(f'invalid rule type "{words[0]}"')
    return Rule(readers[kind](rest), stop)


def pattern_of(text: str, replacement: str = "") -> goregexp.Pattern:
    """RuleError for one that cannot be, or has fewer groups than its replacement uses."""
    if len(text) > MAX_REGEXP:
        raise RuleError(f"regex pattern too long: {len(text)} > {MAX_REGEXP}")
    try:
        pattern = goregexp.compile(text)
    except goregexp.RegexpError:
        raise RuleError(f"invalid regex matching pattern: {text}") from None
    uses = len({number for number in map(int, _GROUP.findall(replacement)) if number < _MOST_GROUPS})
    if uses > pattern.subexpressions:
        raise RuleError(
            f"the rewrite regex pattern ({replacement}) uses more subexpressions than its corresponding matching regex pattern ({text})"
        )
    return pattern


def normal(name: str) -> str:
    """Lower-cased, with the dot at the end."""
    return absolute(name.lower())


def change(kind: str, old: str, new: str) -> Text:
    """By one of KINDS. RuleError."""
    if kind == "exact":
        return lambda name: new if name == old else None
    if kind == "prefix":
        return lambda name: new + name[len(old) :] if name.startswith(old) else None
    if kind == "suffix":
        return lambda name: name[: len(name) - len(old)] + new if name.endswith(old) else None
    if kind == "substring":
        return lambda name: name.replace(old, new) if old in name else None
    return by_pattern(pattern_of(old, new), new)


def by_pattern(pattern: goregexp.Pattern, new: str) -> Text:
    """{0}, {1}, ... of the replacement are the groups of the match."""

    def change_by_pattern(name: str) -> str | None:
        groups = pattern.groups(name)
        if groups is None:
            return None
        return _GROUP.sub(lambda place: groups[int(place[1])] if int(place[1]) < len(groups) else place[0], new)

    return change_by_pattern


def name_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """[exact|prefix|suffix|substring|regex] FROM TO [answer auto|name FROM TO|value FROM TO]... RuleError."""
    if len(words) < 2:
        raise RuleError("too few arguments for a name rule")
    kind = "exact" if len(words) == 2 else words[0].lower()
    old, new = (words[0], words[1]) if len(words) == 2 else (words[1], words[2])
    if kind not in KINDS:
        raise RuleError(
            f"name rule supports only exact, prefix, suffix, substring, and regex name matching, received: {kind}"
        )
    changed = change(kind, old if kind == "regex" else normal(old), normal(new))
    auto, turns = _answer_rules(kind, words[3:]) if len(words) > 3 else (False, [])
    if kind == "suffix" and auto:
        turns = [*both(lambda name: _end(name, normal(new), normal(old))), *turns]
        auto = False

    def apply(query: Query) -> Rewritten | None:
        name = changed(query.key)
        if name is None:
            return None
        own = both(_mapped(name, query.key)) if auto or kind == "exact" else []
        return Rewritten(query.asking(name, query.type), [*own, *turns])

    return apply


def _end(name: str, end: str, other: str) -> str | None:
    return name[: len(name) - len(end)] + other if name.endswith(end) else None


def _mapped(rewritten: str, original: str) -> Text:
    """A name and all below it, back to what was asked for."""
    below = f".{rewritten}"

    def back(name: str) -> str | None:
        key = name.lower()
        if key == rewritten:
            return original
        return name[: len(name) - len(rewritten)] + original if key.endswith(below) else None

    return back


def _answer_rules(kind: str, words: Sequence[str]) -> tuple[bool, list[Turn | Alias]]:
    """(whether `answer auto` is there, the rules). RuleError."""
    if len(words) < 2:
        raise RuleError(f"invalid arguments for {kind} rule")
    auto, names, place, turns = False, 0, 0, list[Turn | Alias]()
    while place < len(words):
        if place == 0 and words[place] != "answer":
            raise RuleError(f"exceeded the number of arguments for a non-answer rule argument for {kind} rule")
        place += words[place] == "answer"
        if place == len(words):
            raise RuleError(f"type missing for answer rule for {kind} rule")
        what = words[place]
        place += 1
        if what == "auto":
            auto = True
            continue
        if what not in ("name", "value"):
            raise RuleError(f'invalid type "{what}" for answer rule for {kind} rule')
        if place + 2 > len(words):
            raise RuleError(f"{what} answer rule for {kind} rule: 2 arguments required")
        try:
            pattern = pattern_of(words[place], words[place + 1])
        except RuleError as error:
            raise RuleError(f"{what} answer rule for {kind} rule: {error}") from None
        text = by_pattern(pattern, normal(words[place + 1]))
        turns.append(owners(text) if what == "name" else values(text))
        names += what == "name"
        place += 2
    if auto and names:
        raise RuleError("auto name answer rule cannot be combined with explicit name anwer rules")
    return auto, turns


def both(text: Text) -> list[Turn | Alias]:
    """Owners and values."""
    return [owners(text), values(text)]


def records(function: Callable[[Record], Record]) -> Turn:
    """Every record of an answer through a function."""

    def turn(answer: Answer) -> Answer:
        sections = [list(map(function, part)) for part in (answer.answer, answer.authority, answer.additional)]
        return replace(answer, answer=sections[0], authority=sections[1], additional=sections[2])

    return turn


def owners(text: Text) -> Turn:
    """Names of records."""

    def renamed(record: Record) -> Record:
        name = text(record.name)
        return record if name is None else replace(record, name=name)

    return records(renamed)


def values(text: Text) -> Turn:
    """Names in the data of records."""

    def revalued(record: Record) -> Record:
        start = naptr_replacement(record.data) if record.type == NAPTR else _NAME_AT.get(record.type)
        if start is None:
            return record
        value, end = wire.read_name(record.data, start)
        name = text(value)
        if name is None or name == value:
            return record
        return replace(record, data=record.data[:start] + wire.name_bytes(absolute(name)) + record.data[end:])

    return records(revalued)


def naptr_replacement(data: bytes) -> int | None:
    """Where the name begins: behind two numbers and three strings. None for data that end early."""
    place = 4
    for _ in range(3):
        if place >= len(data):
            return None
        place += 1 + data[place]
    return place if place < len(data) else None


def class_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """FROM TO. RuleError."""
    old, new = (_number("class", word, wire.CLASS_NUMBERS) for word in words)
    return lambda query: Rewritten(replace(query, cls=new)) if query.cls == old else None


def type_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """FROM TO. RuleError."""
    old, new = (_number("type", word, wire.TYPE_NUMBERS) for word in words)
    return lambda query: Rewritten(query.asking(query.name, new)) if query.type == old else None


def _number(what: str, word: str, numbers: dict[str, int]) -> int:
    if word.upper() not in numbers:
        raise RuleError(f'invalid {what} "{word.upper()}"')
    return numbers[word.upper()]


def _matcher(what: str, words: Sequence[str]) -> Callable[[str], bool]:
    """[KIND] NAME of a ttl or rcode rule. RuleError."""
    kind, name = ("exact", words[0]) if len(words) == 1 else (words[0].lower(), words[1])
    if kind not in KINDS:
        raise RuleError(f"{what} rule supports only exact, prefix, suffix, substring, and regex name matching")
    if kind == "regex":
        if len(name) > MAX_REGEXP:
            raise RuleError(f"regex pattern too long in a {what} rule: {len(name)} > {MAX_REGEXP}")
        try:
            return goregexp.compile(name).search
        except goregexp.RegexpError:
            raise RuleError(f"invalid regex pattern in a {what} rule: {name}") from None
    matches = change(kind, normal(name), "")
    return lambda key: matches(key) is not None


def ttl_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """[KIND] NAME TTL|MIN-MAX|MIN-|-MAX. RuleError."""
    if len(words) < 2:
        raise RuleError(f"too few ({len(words)}) arguments for a ttl rule")
    if len(words) > 3:
        raise RuleError("many few arguments for a ttl rule")
    bounds = ttl_bounds(words[-1])
    if bounds is None:
        raise RuleError(f"invalid TTL '{words[-1]}' for a ttl rule")
    low, high = bounds
    matches = _matcher("ttl", words[:-1])
    clamp_all = records(lambda record: replace(record, ttl=min(max(record.ttl, low), high)))

    def clamp(answer: Answer) -> Answer:
        if answer.ttl is None:
            return clamp_all(answer)
        return replace(answer, ttl=min(max(answer.ttl, low), high))

    return lambda query: Rewritten(query, [clamp]) if matches(query.key) else None


def ttl_bounds(text: str) -> tuple[int, int] | None:
    """(least, most) of 30, 30-60, 30-, -60; None for anything else."""
    low, dash, high = text.partition("-")
    least = int(low) if low.isdecimal() else 0 if dash and not low else -1
    most = least if not dash else int(high) if high.isdecimal() else LONGEST_TTL if low and not high else -1
    return (least, most) if 0 <= least <= most < 1 << 32 else None


def rcode_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """[KIND] NAME FROM TO. RuleError."""
    if len(words) < 3:
        raise RuleError(f"too few ({len(words)}) arguments for a rcode rule")
    if len(words) > 4:
        raise RuleError("many few arguments for a rcode rule")
    old, new = rcode(words[-2]), rcode(words[-1])
    if old is None:
        raise RuleError(f"invalid matching RCODE '{words[-2]}' for a rcode rule")
    if new is None:
        raise RuleError(f"invalid replacement RCODE '{words[-1]}' for a rcode rule")
    matches, code = _matcher("rcode", words[:-2]), new

    def turn(answer: Answer) -> Answer:
        return replace(answer, rcode=code) if answer.rcode == old else answer

    return lambda query: Rewritten(query, [turn]) if matches(query.key) else None


def rcode(text: str) -> int | None:
    """Of NXDOMAIN or 3; None for what is no code."""
    if text.isdecimal():
        return int(text) if len(text) < 3 and int(text) <= 23 else None
    return wire.RCODE_NUMBERS.get(text.upper())


def cname_rule(words: Sequence[str]) -> Callable[[Query], Rewritten | None]:
    """[KIND] FROM TO: the targets of aliases. RuleError."""
    if len(words) not in (2, 3):
        raise RuleError(f"too few ({len(words)}) arguments for a cname rule")
    kind = "exact" if len(words) == 2 else words[0].lower()
    old, new = words[-2].lower(), words[-1].lower()
    if kind not in KINDS:
        raise RuleError(f"unknown cname rewrite type: {kind}")
    if kind == "exact":
        old, new = normal(old), normal(new)
    alias = Alias(change(kind, old, new))
    return lambda query: Rewritten(query, [alias])
