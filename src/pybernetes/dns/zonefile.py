"""Master files (RFC 1035 section 5): text into records. Reads files only for $INCLUDE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import wire
from .rdata import RdataError, Word, absolute_name, encode, seconds, type_number
from .wire import IN, SOA, Record

MAX_BYTES = 16 << 20  # of a zone's files together: some 300,000 records, which take 5 s to read
MAX_INCLUDES = 7  # in one another, as upstream's
DEFAULT_TTL = 3600  # of files that say nothing (upstream's)


class ZoneFileError(ValueError):
    """One line, with file and line."""


@dataclass(slots=True)
class _State:
    """What directives and lines before have set."""

    origin: str
    ttl: int | None = None
    last_ttl: int | None = None
    owner: str = ""
    left: int = MAX_BYTES
    directives: bool = True
    records: list[Record] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)


def parse(text: str, origin: str, file: Path) -> tuple[list[Record], list[Path]]:
    """All records in order, owners in the case that they are written in, and the files that they are from. ZoneFileError."""
    state = _State(origin)
    _read(text, state, file, 0)
    return state.records, state.files


def read(file: Path, origin: str) -> tuple[list[Record], list[Path]]:
    """The same of a file. ZoneFileError, OSError."""
    with file.open(errors="replace") as stream:
        return parse(stream.read(MAX_BYTES + 1), origin, file)


def parse_record(text: str) -> Record:
    """One line with an absolute owner (upstream: dns.NewRR), which may be partly a stranger's: no directives. ZoneFileError."""
    state = _State(".", directives=False)
    _read(text, state, Path("line"), 0)
    if len(state.records) != 1:
        raise ZoneFileError(f"{text!r} is not one record")
    return state.records[0]


def _read(text: str, state: _State, file: Path, depth: int) -> None:
    state.files.append(file)
    state.left -= len(text)
    if state.left < 0:
        raise ZoneFileError(f"{file}: the zone's files are larger than {MAX_BYTES} bytes")
    for number, blank, words in entries(text, file):
        try:
            if state.directives and words[0].text.startswith("$") and not words[0].quoted and not blank:
                _directive(words, state, file, depth)
            else:
                state.records.append(_record(words, blank, state))
        except RdataError as error:
            raise ZoneFileError(f"{file}:{number}: {error}") from None


def _directive(words: list[Word], state: _State, file: Path, depth: int) -> None:
    name, arguments = words[0].text.upper(), [word.text for word in words[1:]]
    if name == "$ORIGIN" and len(arguments) == 1:
        state.origin = absolute_name(arguments[0], state.origin)
    elif name == "$TTL" and len(arguments) == 1 and (ttl := seconds(arguments[0])) is not None:
        state.ttl = ttl
    elif name == "$INCLUDE" and len(arguments) in (1, 2):
        if depth == MAX_INCLUDES:
            raise RdataError(f"more than {MAX_INCLUDES} files include one another")
        path = file.parent / arguments[0]
        try:
            with path.open(errors="replace") as stream:
                text = stream.read(state.left + 1)
        except OSError as error:
            raise RdataError(f"$INCLUDE {path}: {error.strerror}") from None
        before = state.origin, state.owner
        if len(arguments) == 2:
            state.origin = absolute_name(arguments[1], state.origin)
        _read(text, state, path, depth + 1)
        state.origin, state.owner = before  # RFC 1035: the including file goes on as if nothing had been
    elif name in ("$ORIGIN", "$TTL", "$INCLUDE"):
        raise RdataError(f"{' '.join(word.text for word in words)!r} is no {name} directive")
    else:
        raise RdataError(f"{words[0].text} is not there: only $ORIGIN, $TTL and $INCLUDE are")


def _record(words: list[Word], blank: bool, state: _State) -> Record:
    """[OWNER] [TTL] [CLASS] TYPE DATA, TTL and class in either order."""
    place = 0
    if not blank:
        state.owner = absolute_name(words[0].text, state.origin)
        place = 1
    elif not state.owner:
        raise RdataError("a record without an owner, and none before it")
    ttl: int | None = None
    for _ in range(2):
        text = words[place].text if place < len(words) else ""
        if ttl is None and text[:1].isdecimal() and (ttl := seconds(text)) is not None:
            place += 1
        elif text.upper() in wire.CLASS_NUMBERS and type_number(text) is None:
            if text.upper() != "IN":
                raise RdataError(f"class {text} is not there, only IN")
            place += 1
    if place >= len(words):
        raise RdataError("a record without a type")
    type = type_number(words[place].text)
    if type is None:
        raise RdataError(f"unknown type {words[place].text!r}")
    data = encode(type, words[place + 1 :], state.origin)
    if ttl is None:
        ttl = state.ttl if state.ttl is not None else state.last_ttl
    if ttl is None:
        ttl = int.from_bytes(data[-4:], "big") if type == SOA else DEFAULT_TTL
    state.last_ttl = ttl
    return Record(state.owner, type, ttl, data, IN)


def entries(text: str, file: Path) -> Iterator[tuple[int, bool, list[Word]]]:
    """(line, whether it begins with a blank, words) of each entry; parentheses join lines, `;` begins a comment. ZoneFileError."""
    words: list[Word] = []
    depth, first, blank = 0, 0, False
    for number, line in enumerate(text.split("\n"), 1):
        if not depth:
            first, blank = number, line[:1] in (" ", "\t")
        place = 0
        while place < len(line):
            character = line[place]
            if character in " \t\r":
                place += 1
            elif character == ";":
                break
            elif character in "()":
                depth += 1 if character == "(" else -1
                if depth not in (0, 1):
                    raise ZoneFileError(f"{file}:{number}: parentheses that do not match")
                place += 1
            else:
                word, place = _word(line, place, file, number)
                words.append(word)
        if not depth and words:
            yield first, blank, words
            words = []
    if depth:
        raise ZoneFileError(f"{file}:{first}: a parenthesis is not closed")


def _word(line: str, start: int, file: Path, number: int) -> tuple[Word, int]:
    """A quoted string, which ends in its line, or what reaches to the next blank; quotes within a word stay (SVCB's)."""
    if line[start] == '"':
        end = _closing(line, start + 1)
        if end < 0:
            raise ZoneFileError(f"{file}:{number}: a quote is not closed")
        return Word(line[start + 1 : end], True), end + 1
    place = start
    while place < len(line) and line[place] not in " \t\r;()":
        if line[place] == "\\":
            place += 2
        elif line[place] == '"':
            end = _closing(line, place + 1)
            if end < 0:
                raise ZoneFileError(f"{file}:{number}: a quote is not closed")
            place = end + 1
        else:
            place += 1
    place = min(place, len(line))
    return Word(line[start:place]), place


def _closing(line: str, place: int) -> int:
    while place < len(line) and line[place] != '"':
        place += 2 if line[place] == "\\" else 1
    return place if place < len(line) else -1
