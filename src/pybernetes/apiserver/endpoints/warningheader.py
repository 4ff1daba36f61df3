"""What a client is warned of, in headers of bounded length (upstream: endpoints/filters/warning.go, apimachinery/pkg/util/net NewWarningHeader)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from pybernetes.api.errors import StatusError

TOTAL = 4096  # characters of all warnings of one answer
EACH = 256  # of one, where the whole of them is too much


class Warned:
    """A block that may refuse: who is refused is told, too, what was to be warned of until then.

    `before`: by the decoder. `growing`: a list that kind, admission and webhooks add to on the way.
    """

    __slots__ = ("_before", "_growing")

    def __init__(self, growing: Sequence[str], before: Sequence[str] = ()) -> None:
        self._growing, self._before = growing, before

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, StatusError):
            error.headers = (*error.headers, *headers([*self._before, *self._growing]))


def headers(texts: Iterable[str]) -> list[tuple[str, str]]:
    """One header for each text, the same only once. Where they are more than TOTAL characters, each is cut, and the last are left out."""
    told: list[str] = []
    length, cut = 0, False
    for text in dict.fromkeys(texts):
        if not text or not tellable(text):
            continue
        if not cut and length + len(text) > TOTAL:
            cut = True
            told = [one[:EACH] for one in told]
            length = sum(map(len, told))
        elif cut and length >= TOTAL:
            break
        text = text[:EACH] if cut else text
        told.append(text)
        length += len(text)
    return [("Warning", f'299 - "{_escaped(text)}"') for text in told]


def tellable(text: str) -> bool:
    """Whether a warning can stand in a header."""
    return text.isprintable() or not any(unicodedata.category(character) == "Cc" for character in text)


def _escaped(text: str) -> str:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return quoted.encode().decode("latin-1")  # headers are written as Latin-1; clients read UTF-8
