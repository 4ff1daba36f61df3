"""The parameters of a request, read as Go does (upstream: net/url.ParseQuery and apimachinery's pkg/runtime/conversion.go)."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from pybernetes.api import strconv

_BROKEN = re.compile(r"%(?![0-9A-Fa-f]{2})")  # an escape that is none


class Query(dict[str, str]):
    """Of a name that is given several times the first value: options have one. `every` has all, for the options that are lists."""

    __slots__ = ("_repeated",)

    def __init__(self, *pairs: tuple[str, str]) -> None:
        super().__init__()
        self._repeated: dict[str, list[str]] = {}
        for name, value in pairs:
            if name in self:
                self._repeated.setdefault(name, [self[name]]).append(value)
            else:
                self[name] = value

    def every(self, name: str) -> list[str]:
        """All values, in their order."""
        return self._repeated.get(name) or ([self[name]] if name in self else [])

    def flag(self, name: str) -> bool:
        """False where it is absent, `0` or `false`: a name without a value is a yes."""
        return name in self and self[name].lower() not in ("0", "false")

    def integer(self, name: str) -> int | None:
        """None where it is absent; strconv.NumberError, also for a name without a value."""
        return strconv.parse_int(self[name]) if name in self else None


def parse(query: bytes) -> Query:
    """Pairs with a semicolon or a broken escape are left out."""
    pairs = []
    for pair in query.decode("latin-1").split("&"):
        if pair and ";" not in pair and not _BROKEN.search(pair):
            name, _, value = pair.partition("=")
            pairs.append((unquote_plus(name), unquote_plus(value)))
    return Query(*pairs)
