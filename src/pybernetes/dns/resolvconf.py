"""resolv.conf(5), as far as DNS servers read it."""

from __future__ import annotations

from pathlib import Path

from .corefile import normalized

MAX_BYTES = 1 << 16


def search_list(path: Path) -> list[str]:
    """The zones of its last `search` or `domain` line. OSError."""
    with path.open(errors="replace") as stream:
        text = stream.read(MAX_BYTES)
    search: list[str] = []
    for words in map(str.split, text.splitlines()):
        if words[:1] in (["search"], ["domain"]):
            search = [zone for word in words[1:] if "/" not in word for zone in normalized(word)]
    return search
