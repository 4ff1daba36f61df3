"""Compares an answer with the recorded one; <words> in a recording stand for what differs from run to run.

Two grades (tests/golden/README.md): the *same*, and *exact* when each `message` is equal too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

UNORDERED = ("managedFields", "causes")
# What generateName adds to a name, in a text that tells of an object which the run made.
_GENERATED = re.compile(r"(?<=-)[bcdfghjklmnpqrstvwxz2456789]{5}(?![\w-])")
_BARE = re.compile(r"<[A-Za-z]+>")


@dataclass(frozen=True)
class Mismatch:
    """One value that is not the recorded one; `is_message`: a text for people, which only the grade exact looks at."""

    text: str
    is_message: bool = False


@dataclass(frozen=True)
class Comparison:
    """What is left out: paths whose items of lists are meant all alike; managedFields, where they cannot be compared."""

    ignored: Sequence[Sequence[str]] = ()
    managed_fields: bool = True

    def mismatches(self, want: Any, got: Any) -> Iterator[Mismatch]:
        """All of them, in the order of the recording."""
        if isinstance(want, str) and isinstance(got, dict):
            want = yaml.safe_load(want)  # YAML was recorded as text
        return self._values(want, got, ())

    def _values(self, want: Any, got: Any, path: tuple[str, ...]) -> Iterator[Mismatch]:
        if self._is_ignored(path):
            return
        if isinstance(want, dict):
            yield from self._objects(want, got, path)
            return
        if isinstance(want, list):
            yield from self._lists(want, got, path)
            return
        is_message = path[-1:] == ("message",)
        if is_message and isinstance(want, str) and isinstance(got, str):
            same = equal(*(_GENERATED.sub("xxxxx", text) for text in (want, got)))
        else:
            same = equal(want, got)
        if not same:
            yield Mismatch(f"{'.'.join(path)}: {got!r}, not {want!r}", is_message)

    def _objects(self, want: dict[str, Any], got: Any, path: tuple[str, ...]) -> Iterator[Mismatch]:
        if not isinstance(got, dict):
            yield Mismatch(f"{'.'.join(path)}: {got!r}, not an object")
            return
        for key, value in want.items():
            if key == "managedFields" and not self.managed_fields:
                continue
            if key == "singularName" and value == "" and got.get(key) == str(got.get("kind")).lower():
                continue  # built-in resources have one since 1.27
            if value is None and got.get(key) is None:
                continue
            if key in got:
                yield from self._values(value, got[key], (*path, key))
            elif not self._is_ignored((*path, key)):
                yield Mismatch(f"{'.'.join(path)}.{key} is missing ({value!r})")

    def _lists(self, want: list[Any], got: Any, path: tuple[str, ...]) -> Iterator[Mismatch]:
        if not isinstance(got, list) or len(got) != len(want):
            yield Mismatch(f"{'.'.join(path)}: {got!r}, not {want!r}")
            return
        if path and path[-1] in UNORDERED:
            want, got = (sorted(x, key=lambda i: json.dumps(i, sort_keys=True)) for x in (want, got))
        for index, (w, g) in enumerate(zip(want, got, strict=True)):
            yield from self._values(w, g, (*path, str(index)))

    def _is_ignored(self, path: tuple[str, ...]) -> bool:
        plain = tuple(part for part in path if not part.isdigit())
        return any(_matches(ignored, path) or _matches(ignored, plain) for ignored in self.ignored)


def equal(want: Any, got: Any) -> bool:
    """Whether one value is the recorded one."""
    if want == got:
        return True
    if isinstance(want, str) and _BARE.search(want):
        pattern = "".join(".+" if _BARE.fullmatch(p) else re.escape(p) for p in re.split(r"(<[A-Za-z]+>)", want))
        return got is not None and re.fullmatch(pattern, str(got), re.S) is not None
    return False


def _matches(ignored: Sequence[str], path: Sequence[str]) -> bool:
    return (len(path) >= len(ignored) and all(i in ("*", p) for i, p in zip(ignored, path, strict=False))) or (
        len(ignored) <= len(path) and list(path[-len(ignored) :]) == list(ignored)
    )
