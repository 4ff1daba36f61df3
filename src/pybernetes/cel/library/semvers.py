"""Semantic versions (upstream: apiserver/pkg/cel/library/semverlib.go, blang/semver)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .. import functions, types
from ..errors import EvaluationError
from ..functions import Overload
from ..types import BOOL, INT, STRING
from ..values import UINT64, Opaque
from .declare import function, method
from .formatting import go_quoted

SEMVER = types.object_type("kubernetes.Semver", {})
_NUMBER, _PART = re.compile(r"[0-9]+"), re.compile(r"[0-9A-Za-z-]+")
Identifier = int | str


@dataclass(frozen=True, slots=True)
class Version(Opaque):
    """A version. Build metadata is no part of what is compared."""

    type_name = "kubernetes.Semver"
    numbers: tuple[int, int, int]
    pre_release: tuple[Identifier, ...]

    def compare(self, other: Version) -> int:
        """-1, 0, 1 by precedence: a pre-release is below its release."""
        if self.numbers != other.numbers:
            return -1 if self.numbers < other.numbers else 1
        if not self.pre_release or not other.pre_release:
            return bool(other.pre_release) - bool(self.pre_release)
        left, right = (_ranks(version.pre_release) for version in (self, other))
        return (left > right) - (left < right)


def _ranks(identifiers: tuple[Identifier, ...]) -> list[tuple[int, int, str]]:
    """Numbers are below words."""
    return [(0, each, "") if isinstance(each, int) else (1, 0, each) for each in identifiers]


def overloads() -> Iterator[Overload]:
    """All of them."""
    once, pair = functions.traversal(0), (SEMVER, SEMVER)
    yield function("semver", "string_to_semver", (STRING,), SEMVER, _semver, once)
    yield function("semver", "string_bool_to_semver", (STRING, BOOL), SEMVER, _semver, once)
    yield function("isSemver", "is_semver_string", (STRING,), BOOL, _is_semver, once)
    yield function("isSemver", "is_semver_string_bool", (STRING, BOOL), BOOL, _is_semver, once)
    yield method("isGreaterThan", "semver_is_greater_than", pair, BOOL, lambda one, other: one.compare(other) > 0)
    yield method("isLessThan", "semver_is_less_than", pair, BOOL, lambda one, other: one.compare(other) < 0)
    yield method("compareTo", "semver_compare_to", pair, INT, Version.compare)
    yield method("major", "semver_major", (SEMVER,), INT, lambda version: version.numbers[0])
    yield method("minor", "semver_minor", (SEMVER,), INT, lambda version: version.numbers[1])
    yield method("patch", "semver_patch", (SEMVER,), INT, lambda version: version.numbers[2])


def _semver(text: str, normalize: bool = False) -> Version:
    try:
        return _parse(_normalized(text) if normalize else text)
    except ValueError as error:
        raise EvaluationError(str(error)) from None


def _is_semver(text: str, normalize: bool = False) -> bool:
    try:
        _semver(text, normalize)
    except EvaluationError:
        return False
    return True


def _normalized(text: str) -> str:
    """Without a leading v and leading zeros, and with all three numbers."""
    parts = text.removeprefix("v").split(".", 2)
    for index, part in enumerate(parts):
        if len(part) > 1:
            stripped = part.lstrip("0")
            parts[index] = stripped if stripped[:1] in "0123456789" and stripped else f"0{stripped}"
    if len(parts) < 3:
        if re.search(r"[+-]", parts[-1]):
            raise ValueError("short version cannot contain PreRelease/Build meta data")
        parts += ["0"] * (3 - len(parts))
    return ".".join(parts)


def _parse(text: str) -> Version:
    if not text:
        raise ValueError("Version string empty")
    parts = text.split(".", 2)
    if len(parts) != 3:
        raise ValueError("No Major.Minor.Patch elements found")
    major, minor = (_number(part, name) for part, name in zip(parts[:2], ("Major", "Minor"), strict=True))
    rest, plus, build = parts[2].partition("+")
    patch, dash, pre_release = rest.partition("-")
    numbers = (major, minor, _number(patch, "Patch"))
    identifiers = tuple(map(_identifier, pre_release.split("."))) if dash else ()
    for part in build.split(".") if plus else ():
        if not part:
            raise ValueError("Build meta data is empty")
        if not _PART.fullmatch(part):
            raise ValueError(f"Invalid character(s) found in build meta data {go_quoted(part)}")
    return Version(numbers, identifiers)


def _number(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"Invalid character(s) found in {name.lower()} number {go_quoted(text)}")
    if len(text) > 1 and text[0] == "0":
        raise ValueError(f"{name} number must not contain leading zeroes {go_quoted(text)}")
    if len(text) > 20 or int(text) not in UINT64:
        raise ValueError(f"strconv.ParseUint: parsing {go_quoted(text)}: value out of range")
    return int(text)


def _identifier(text: str) -> Identifier:
    if not text:
        raise ValueError("Prerelease is empty")
    if _NUMBER.fullmatch(text):
        if len(text) > 1 and text[0] == "0":
            raise ValueError(f"Numeric PreRelease version must not contain leading zeroes {go_quoted(text)}")
        return int(text) if len(text) <= 20 else text
    if not _PART.fullmatch(text):
        raise ValueError(f"Invalid Prerelease {go_quoted(text)}")
    return text
