"""What `status` shows: a line for each thing; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """One thing; `ok` False makes `status` exit with 1."""

    kind: str
    name: str
    ok: bool
    text: str


def table(lines: Sequence[Line]) -> str:
    """Aligned columns."""
    widths = [max(len(getattr(line, field)) for line in lines) for field in ("kind", "name")]
    rows = [f"{'ok ' if x.ok else 'BAD'}  {x.kind:<{widths[0]}}  {x.name:<{widths[1]}}  {x.text}" for x in lines]
    return "\n".join(rows)
