"""What is shown while hosts change: lines in a log, a table on a terminal."""

from __future__ import annotations

import io
import re

from pybernetes.cli.deploydisplay import Lines, Screen, display
from pybernetes.deploy.daemons.model import Host
from pybernetes.deploy.rollout.actions import Enable
from pybernetes.deploy.rollout.execute import Display
from pybernetes.deploy.rollout.plan import Stage, Step
from tests.without import hidden

STAGE = Stage(
    "prepare [the] hosts", (Step(Host("a", "10.0.0.1"), (Enable("docker"),)), Step(Host("b", "10.0.0.2"), ()))
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def play(shown: Display) -> None:
    shown.stage(STAGE)
    shown.action("a", "install [x]")
    shown.action("a", "start docker")
    shown.action("b", "start docker")
    shown.ended("a")
    shown.ended("b", "b says no")


def test_a_log_has_a_line_for_each_action() -> None:
    out = io.StringIO()
    with display(out, ["a", "b"]) as shown:
        assert isinstance(shown, Lines)
        play(shown)
    lines = out.getvalue().splitlines()
    assert lines[0] == "prepare [the] hosts:"
    assert [line.rpartition(" (")[0] for line in lines[1:]] == [
        "  ✓ a: install [x]",
        "  ✓ a: start docker",
        "  ✗ b: start docker",
    ]


def test_a_terminal_has_a_line_for_each_host() -> None:
    out = Terminal()
    with display(out, ["a", "b", "c"]) as shown:
        assert isinstance(shown, Screen)
        play(shown)
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", out.getvalue())
    lines = [" ".join(line.split()) for line in plain.splitlines() if line.strip()]
    assert lines[-4:] == ["prepare [the] hosts", "✓ a prepare [the] hosts", "✗ b start docker", "c"]


def test_a_terminal_without_rich_gets_lines() -> None:
    with hidden("rich"), display(Terminal(), ["a"]) as shown:
        assert isinstance(shown, Lines)
