"""Names of properties as expressions write them (upstream: apiserver/pkg/cel/escaping.go)."""

from __future__ import annotations

import functools
import re

from .parser import RESERVED

_ALLOWED = re.compile(r"[A-Za-z_./-][A-Za-z0-9_./-]*")
_SPECIAL = re.compile(r"__|[-./]")
_WRITTEN = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}


@functools.lru_cache(maxsize=4096)
def escaped(name: str) -> str | None:
    """The identifier of a property; None for a name that has none, which no expression can reach."""
    if not _ALLOWED.fullmatch(name):
        return None
    if name in RESERVED:
        return f"__{name}__"
    return _SPECIAL.sub(lambda match: _WRITTEN[match[0]], name)
