"""How a step of `up` is shown."""

from __future__ import annotations

import io

import pytest

from pybernetes.cluster.progress import Progress
from tests.without import hidden


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_line_a_step() -> None:
    out = io.StringIO()
    progress = Progress(out)
    with progress.step("make keys"):
        assert out.getvalue() == ""
    with pytest.raises(ValueError, match="no"), progress.step("start"):
        raise ValueError("no")
    assert [line.partition(" (")[0] for line in out.getvalue().splitlines()] == ["✓ make keys", "✗ start"]


def test_a_terminal_shows_the_step_that_is_under_way() -> None:
    out = Terminal()
    with Progress(out).step("make keys"):
        pass
    assert "\x1b[" in out.getvalue()


def test_a_terminal_without_rich_gets_lines() -> None:
    out = Terminal()
    with hidden("rich"), Progress(out).step("make keys"):
        pass
    assert out.getvalue().startswith("✓ make keys (") and "\x1b" not in out.getvalue()
