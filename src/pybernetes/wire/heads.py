"""Status lines and headers of answers."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(r"[\x00\r\n]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})

Pairs = Iterable[tuple[str, str]]


def head(status: int, headers: Pairs, framing: Pairs) -> bytes:
    """The status line and header block; ValueError for anything that could split it."""
    lines = [_status_line(status)]
    dated = False
    for name, value in headers:
        lower = _lowered(name)
        if not value.isprintable() and _BAD_VALUE.search(value):
            raise _invalid(name)
        if lower in _FRAMING:
            continue
        dated = dated or lower == "date"
        lines.append(f"{name}: {value}")
    if not dated:
        lines.append(_date_line(int(time.time())))
    lines += [f"{name}: {value}" for name, value in framing]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@functools.lru_cache(256)
def _status_line(status: int) -> str:
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return f"HTTP/1.1 {status:d} {reason}"


@functools.lru_cache(256)
def _lowered(name: str) -> str:
    """ValueError for what is no header's name."""
    if not _TOKEN.fullmatch(name):
        raise _invalid(name)
    return name.lower()


def _invalid(name: str) -> ValueError:
    return ValueError(f"invalid response header {name!r}")


@functools.lru_cache(1)
def _date_line(second: int) -> str:
    return f"Date: {formatdate(second, usegmt=True)}"


def wants_close(headers: Pairs) -> bool:
    """Whether a handler's own headers end the connection."""
    for name, value in headers:  # noqa: SIM110  # a generator takes three times as long, and every answer is asked
        if name.lower() == "connection" and value.strip().lower() == "close":
            return True
    return False


def plain(status: int, *, body: bool = True) -> bytes:
    """An error of the server's own, which ends the connection."""
    text = f"{HTTPStatus(status).phrase}\n".encode()
    framing = [("Content-Length", str(len(text))), ("Connection", "close")]
    return head(status, [("Content-Type", "text/plain; charset=utf-8")], framing) + (text if body else b"")
