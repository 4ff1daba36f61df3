"""What expressions of AuthenticationConfiguration speak of (upstream: apiserver/pkg/authentication/cel, authenticator/token/oidc).

`claims` is a map of whatever a token says, `user` the UserInfo that was made of it. Names that are no identifiers are reached escaped
(`claims.example__dot__org`), in maps at any depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .environment import Environment, environment
from .parser import RESERVED
from .types import DYN, STRING, list_of, map_of, object_type
from .values import MISSING, Object, Steps, equal

CLAIMS, USER = "claims", "user"
_ESCAPE = re.compile(r"__[^_]+__")
_MEANT = {"__underscores__": "__", "__dot__": ".", "__dash__": "-", "__slash__": "/"}
_USER = object_type(
    "kubernetes.UserInfo",
    {"username": STRING, "uid": STRING, "groups": list_of(STRING), "extra": map_of(STRING, list_of(STRING))},
)


def claims_environment() -> Environment:
    """For claim mappings and claim validation rules."""
    return environment({CLAIMS: map_of(STRING, DYN)})


def user_environment() -> Environment:
    """For user validation rules."""
    return environment({USER: _USER})


def unescaped(name: str) -> str | None:
    """What an escaped identifier stands for; None for escapes that there are not (upstream: apiserver/pkg/cel/escaping.go Unescape)."""
    parts, place = [], 0
    for match in _ESCAPE.finditer(name):
        meant = _MEANT.get(match[0])
        if meant is None and match[0] == name and name[2:-2] in RESERVED:
            meant = name[2:-2]
        if meant is None:
            return None
        parts += [name[place : match.start()], meant]
        place = match.end()
    return "".join((*parts, name[place:]))


class Escaped(Object):
    """A map whose keys expressions may write escaped. `strict`: a key that escapes nothing known is not there, as of `claims` itself."""

    __slots__ = ("_items", "_strict")

    def __init__(self, items: Mapping[str, Any], strict: bool = False) -> None:
        """`items` are values of CEL."""
        self._items, self._strict = items, strict

    def get(self, name: str) -> Any:
        meant = unescaped(name)
        if meant is None:
            return MISSING if self._strict else self._items.get(name, MISSING)
        return self._items.get(meant, MISSING)

    def names(self) -> Iterator[str]:
        return iter(self._items)

    def size(self) -> int:
        return len(self._items)

    def equals(self, other: Any, steps: Steps) -> bool:
        if isinstance(other, Escaped):
            other = other._items
        if not isinstance(other, Mapping) or len(other) != len(self._items):
            return False
        return all(key in other and equal(value, other[key], steps) for key, value in self._items.items())


def value_of(data: Any) -> Any:
    """JSON as values of CEL. Every number is a double, as Go's decoder makes it."""
    match data:
        case bool() | str() | None:
            return data
        case int():
            return float(data)
        case list():
            return [value_of(item) for item in data]
        case dict():
            return Escaped({key: value_of(item) for key, item in data.items()})
    return data


def claims_value(claims: Mapping[str, Any]) -> Escaped:
    """Of a token's payload."""
    return Escaped({key: value_of(item) for key, item in claims.items()}, strict=True)


def user_value(name: str, uid: str, groups: list[str], extra: Mapping[str, list[str]]) -> dict[str, Any]:
    """Of a user; what is empty is there, too."""
    return {"username": name, "uid": uid, "groups": groups, "extra": Escaped(dict(extra))}
