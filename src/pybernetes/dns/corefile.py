"""The Corefile's language (coredns/caddy: caddyfile): server blocks of directives, each with arguments and properties. Pure but for imports."""

from __future__ import annotations

import glob
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_PORT = 53
MAX_IMPORTS = 100  # a file that imports itself ends here

MAX_TOKENS = 1_000_000  # snippets that name each other twice would double at each level
MAX_FILE = 1 << 20

_ARGUMENT = re.compile(r"\{args(?:\[([0-9]{1,3})\]|\.([0-9]{1,3}))\}")
_ENVIRONMENT = re.compile(r"\{\$([A-Za-z_][A-Za-z0-9_]*)\}|\{%([A-Za-z_][A-Za-z0-9_]*)%\}")


class CorefileError(ValueError):
    """One line for the user, with file and line."""


@dataclass(slots=True)
class Directive:
    """A plugin's line and what stands in its braces."""

    name: str
    arguments: list[str]
    line: int = 0
    properties: list[Directive] = field(default_factory=list)
    file: str = "Corefile"

    def error(self, text: str) -> CorefileError:
        """The error at this place."""
        return CorefileError(f"{self.file}:{self.line} - Error during parsing: {text}")

    def wrong_arguments(self) -> CorefileError:
        """As caddy words it."""
        last = self.arguments[-1] if self.arguments else self.name
        return self.error(f"Wrong argument count or unexpected line ending after '{last}'")

    def no_block(self) -> None:
        """For a directive without braces. CorefileError."""
        for prop in self.properties:
            raise prop.error(f"plugin/{self.name}: unknown property '{prop.name}'")

    def one(self) -> str:
        """The only argument."""
        if len(self.arguments) != 1:
            raise self.wrong_arguments()
        return self.arguments[0]


@dataclass(frozen=True, slots=True)
class Listener:
    """A zone and the port it is served on."""

    zone: str
    port: int
    host: str = ""


@dataclass(slots=True)
class Block:
    """A server block."""

    listeners: list[Listener]
    directives: list[Directive]

    @property
    def zones(self) -> list[str]:
        return list(dict.fromkeys(listener.zone for listener in self.listeners))


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    line: int
    file: str
    quoted: bool = False


def parse(
    text: str, file: str = "Corefile", port: int = DEFAULT_PORT, environment: Mapping[str, str] | None = None
) -> list[Block]:
    """Server blocks in order. CorefileError."""
    tokens = _expanded(list(_tokens(text, file)), environment if environment is not None else os.environ)
    snippets: dict[str, list[_Token]] = {}
    blocks: list[Block] = []
    position = 0
    imports = 0
    while position < len(tokens):
        if tokens[position].text == "import" and not tokens[position].quoted and position + 1 < len(tokens):
            imports += 1
            if imports > MAX_IMPORTS:
                raise _error(tokens[position], "imports go round in a circle")
            tokens, position = _spliced(tokens, position, file, environment if environment is not None else os.environ)
            continue
        keys: list[_Token] = []
        while position < len(tokens) and not (tokens[position].text == "{" and not tokens[position].quoted):
            keys.append(tokens[position])
            position += 1
        if position == len(tokens):
            raise _error(keys[-1], "Unexpected EOF: a server block has no braces")
        end = _closing(tokens, position)
        body = tokens[position + 1 : end]
        position = end + 1
        if len(keys) == 1 and keys[0].text.startswith("(") and keys[0].text.endswith(")"):
            snippets[keys[0].text[1:-1]] = body
            continue
        if not keys:
            raise _error(tokens[position - 1], "a server block has no zone")
        imported = _imported(body, snippets, file, environment if environment is not None else os.environ)
        listeners = [each for key in keys for part in key.text.split(",") if part for each in listeners_of(part, port)]
        blocks.append(Block(listeners, _directives(imported)))
    return blocks


def _spliced(
    tokens: list[_Token], position: int, file: str, environment: Mapping[str, str]
) -> tuple[list[_Token], int]:
    """What is left to read, with the files of an `import` that stands outside of blocks in its place."""
    place, what = tokens[position], tokens[position + 1].text
    return _of_files(place, what, Path(file).parent, environment) + tokens[position + 2 :], 0


def read(path: Path) -> str:
    """A Corefile, or a part of one. OSError; CorefileError where it is larger than any."""
    with path.open() as stream:
        text = stream.read(MAX_FILE + 1)
    if len(text) > MAX_FILE:
        raise CorefileError(f"{path} is larger than {MAX_FILE} characters")
    return text


def _error(token: _Token, text: str) -> CorefileError:
    return CorefileError(f"{token.file}:{token.line} - Error during parsing: {text}")


def _tokens(text: str, file: str) -> Iterator[_Token]:
    line, position = 1, 0
    while position < len(text):
        character = text[position]
        if character == "\n":
            line += 1
            position += 1
        elif character.isspace():
            position += 1
        elif character == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif character == '"':
            start, value = line, ""
            position += 1
            while position < len(text) and text[position] != '"':
                if text[position] == "\\" and text[position + 1 : position + 2] == '"':
                    position += 1
                line += text[position] == "\n"
                value += text[position]
                position += 1
            position += 1
            yield _Token(value, start, file, True)
        else:
            end = position
            while end < len(text) and not text[end].isspace():
                end += 1
            yield _Token(text[position:end], line, file)
            position = end


def _expanded(tokens: Sequence[_Token], environment: Mapping[str, str]) -> list[_Token]:
    """{$NAME} and {%NAME%} stand for environment variables."""

    def value(match: re.Match[str]) -> str:
        return environment.get(match[1] or match[2], "")

    return [_Token(_ENVIRONMENT.sub(value, t.text), t.line, t.file, t.quoted) for t in tokens]


def _closing(tokens: Sequence[_Token], opening: int) -> int:
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].quoted:
            continue
        depth += (tokens[index].text == "{") - (tokens[index].text == "}")
        if depth == 0:
            return index
    raise _error(tokens[opening], "Unexpected EOF: a brace is not closed")


def _imported(
    body: Sequence[_Token],
    snippets: Mapping[str, list[_Token]],
    file: str,
    environment: Mapping[str, str],
    depth: int = 0,
    budget: list[int] | None = None,
) -> list[_Token]:
    """The body with each `import NAME|GLOB [ARGUMENTS...]` replaced; {args[0]} and so on in it stand for the arguments."""
    if depth > MAX_IMPORTS:
        raise _error(body[0], "imports go round in a circle")
    budget = [MAX_TOKENS] if budget is None else budget
    result: list[_Token] = []
    index = 0
    while index < len(body):
        token = body[index]
        first = index == 0 or body[index - 1].line != token.line or body[index - 1].text == "{"
        if token.text != "import" or not first or index + 1 == len(body):
            result.append(token)
            index += 1
            continue
        what, arguments = body[index + 1].text, list[str]()
        index += 2
        while index < len(body) and (body[index].line, body[index].file) == (token.line, token.file):
            if body[index].text in ("{", "}") and not body[index].quoted:
                break
            arguments.append(body[index].text)
            index += 1
        tokens = snippets[what] if what in snippets else _of_files(token, what, Path(file).parent, environment)
        tokens = [_with_arguments(each, arguments) for each in tokens]
        budget[0] -= len(tokens)
        if budget[0] < 0:
            raise _error(token, f"more than {MAX_TOKENS} words are imported")
        result += _imported(tokens, snippets, file, environment, depth + 1, budget)
    return result


def _of_files(place: _Token, what: str, folder: Path, environment: Mapping[str, str]) -> list[_Token]:
    """All that the pattern names, by name. CorefileError where a file is named and is not there."""
    tokens: list[_Token] = []
    for path in sorted(glob.glob(str(folder / what))):
        text = read(Path(path))
        tokens += _expanded(list(_tokens(text, path)), environment)
    if not tokens and not glob.has_magic(what):
        raise _error(place, f"File to import not found: {what}")
    return tokens


def _with_arguments(token: _Token, arguments: Sequence[str]) -> _Token:
    """With {args[N]} and {args.N} replaced where there is such an argument."""
    if "{args" not in token.text:
        return token

    def value(match: re.Match[str]) -> str:
        number = int(match[1] or match[2])
        return arguments[number] if number < len(arguments) else match[0]

    return _Token(_ARGUMENT.sub(value, token.text), token.line, token.file, token.quoted)


def _directives(tokens: Sequence[_Token]) -> list[Directive]:
    directives: list[Directive] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        if not token.quoted and token.text in "{}":
            raise _error(token, f"Unexpected '{token.text}'")
        directive = Directive(token.text, [], token.line, file=token.file)
        index += 1
        while index < len(tokens) and tokens[index].line == token.line and tokens[index].file == token.file:
            if tokens[index].text == "{" and not tokens[index].quoted:
                end = _closing(tokens, index)
                directive.properties = _directives(tokens[index + 1 : end])
                index = end + 1
                break
            directive.arguments.append(tokens[index].text)
            index += 1
        directives.append(directive)
    return directives


def listeners_of(text: str, port: int) -> list[Listener]:
    """`.`, `cluster.local:5353`, `dns://.:53`, `10.0.0.0/24` (its reverse zones). CorefileError for other transports."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "dns":
        raise CorefileError(f"{text}: transport {scheme!r} is not there, only dns is")
    rest = rest if separator else text
    zone, colon, number = rest.rpartition(":")
    if colon and number.isdigit() and "/" not in number and "::" not in rest:
        port, rest = int(number), zone
    return [Listener(zone, port) for zone in normalized(rest)]


def normalized(zone: str) -> list[str]:
    """Lower-cased and absolute; a CIDR becomes the reverse zones that make it up."""
    if "/" not in zone:
        zone = zone.lower()
        return ["." if zone in ("", ".") else zone if zone.endswith(".") else f"{zone}."]
    try:
        network = ipaddress.ip_network(zone, strict=False)
    except ValueError as error:
        raise CorefileError(f"{zone}: {error}") from None
    step = 8 if network.version == 4 else 4
    whole = max(-(-network.prefixlen // step) * step, step)
    suffix, digits = ("in-addr.arpa.", 8) if step == 8 else ("ip6.arpa.", 4)
    zones = []
    for part in network.subnets(new_prefix=whole):
        address = int(part.network_address) >> (part.max_prefixlen - whole)
        labels = [address >> digits * n & (1 << digits) - 1 for n in range(whole // step)]
        zones.append(".".join(str(n) if step == 8 else f"{n:x}" for n in labels) + f".{suffix}")
    return zones
