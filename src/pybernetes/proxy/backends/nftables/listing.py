"""What nft prints of the table, as much of it as the proxy compares. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .rules import Key, Value

_BLOCK = re.compile(r"\t(set|map|chain) (\S+) \{")
_ELEMENT = re.compile(r'(?P<key>[^"]*?)(?: comment "(?P<comment>[^"]*)")?(?: : (?P<verdict>.*))?')
_TIMEOUT = re.compile(r"(\d+)([dhms])")
_SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(slots=True)
class Listing:
    """One family's table in the kernel; empty where there is none.

    Rules are kept as the hash of all of a chain's: a table of 50,000 chains is compared, not held.
    """

    chains: dict[str, int] = field(default_factory=dict)
    timeouts: dict[str, int] = field(default_factory=dict)  # set -> seconds, 0 for one whose elements stay
    containers: set[str] = field(default_factory=set)  # sets and maps
    elements: dict[Key, Value] = field(default_factory=dict)


def fingerprint(rules: Iterable[str]) -> int:
    """What `Listing.chains` holds of a chain with these rules."""
    return hash(tuple(rules))


def read(lines: Iterable[str]) -> Listing:
    """The output of `nft --terse list table` and of `nft list map`, one behind the other."""
    listing = Listing()
    for kind, name, body in _blocks(lines):
        if kind == "chain":
            listing.chains[name] = fingerprint(line for line in body if not line.startswith(("type ", "comment ")))
        else:
            listing.containers.add(name)
            for line in body:
                if line.startswith("timeout "):
                    parts = _TIMEOUT.findall(line.removeprefix("timeout "))
                    listing.timeouts[name] = sum(int(number) * _SECONDS[unit] for number, unit in parts)
            listing.elements.update((Key(name, key), value) for key, value in _elements(body))
    return listing


def _blocks(lines: Iterable[str]) -> Iterator[tuple[str, str, list[str]]]:
    """(kind, name, lines) of each chain, set and map."""
    kind = name = ""
    body: list[str] = []
    for line in lines:
        if line.startswith("\t\t"):
            body.append(line.strip())
        elif (block := _BLOCK.match(line)) is not None:
            kind, name, body = block[1], block[2], []
        elif line.startswith("\t}"):
            yield kind, name, body


def _elements(body: list[str]) -> Iterator[tuple[str, Value]]:
    start = next((number for number, line in enumerate(body) if line.startswith("elements = {")), None)
    if start is None:
        return
    text = " ".join(body[start:]).removeprefix("elements = {").rstrip(" }")
    for word in text.split(","):
        element = _ELEMENT.fullmatch(word.strip())
        if element is not None:
            yield element["key"], Value(element["verdict"] or "", element["comment"] or "")
