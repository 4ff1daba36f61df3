"""Files of variables in an emptyDir, which `fileKeyRef` names (upstream: pkg/kubelet/util/env; KEP-3721).

What is in them is a part of what a shell reads: `NAME='value'`, a value in single quotes, over several lines where it has
several; blank lines and comments. Whoever writes into the volume writes the file: reading it costs time in proportion to its length.
"""

from __future__ import annotations

from collections.abc import Iterable

from pybernetes.api.types import core_v1 as core

MAX_FILE = 1 << 20  # bytes: what is longer is not read
MAX_KEY = 128
MAX_VALUE = 32 << 10

_BLANK = " \t"


class Unreadable(ValueError):
    """Not such a file."""


def value_of(text: str, key: str) -> str | None:
    """What the file says of the key, None where it says nothing; what comes after that is not looked at."""
    place, line = 0, 1
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        name = text[place:end].lstrip(_BLANK).rstrip("\r")
        if not name or name.startswith("#"):
            place, line = end + 1, line + 1
            continue
        wrong = f"invalid environment variable format at line {line}"
        equals = text.find("=", place, end)
        name = text[place:equals].lstrip(_BLANK) if equals >= 0 else ""
        if not name:
            raise Unreadable(wrong)
        if name[-1] in _BLANK:
            raise Unreadable(f"{wrong}: whitespace before '=' is not allowed")
        if text[equals + 1 : equals + 2] != "'":
            raise Unreadable(f"{wrong}: value must be enclosed in single quotes")
        close = text.find("'", equals + 2)
        if close < 0:
            raise Unreadable(f"{wrong}: unclosed single quote")
        value = text[equals + 2 : close]
        end = text.find("\n", close)
        end = len(text) if end < 0 else end
        rest = text[close + 1 : end].rstrip("\r")
        if rest.strip(_BLANK) and not (rest[0] in _BLANK and rest.lstrip(_BLANK).startswith("#")):
            raise Unreadable(f"{wrong}: unexpected content after closing quote")
        if name == key:
            return value
        place, line = end + 1, line + 1 + value.count("\n")
    return None


def selectors(container: core.Container) -> Iterable[core.FileKeySelector]:
    """The files that the container's variables come from."""
    return [v.value_from.file_key_ref for v in container.env if v.value_from and v.value_from.file_key_ref is not None]
