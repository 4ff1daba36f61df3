"""What `deploy` shows while it works: a line for each host that changes on a terminal, a line for each action elsewhere.

Without the extra `display` a terminal gets those of elsewhere.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from pybernetes.deploy.rollout.execute import Display
from pybernetes.deploy.rollout.plan import Stage

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

DONE, FAILED, AT_WORK, WAITING = "✓", "✗", "…", " "


class Lines:
    """For logs and pipes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._begun: dict[str, tuple[str, float]] = {}

    def stage(self, stage: Stage) -> None:
        """A heading."""
        print(f"{stage.title}:", file=self._out, flush=True)

    def action(self, host: str, title: str) -> None:
        """The one before is done."""
        self._end(host, DONE)
        self._begun[host] = title, time.monotonic()

    def ended(self, host: str, problem: str = "") -> None:
        """The last one is done, or failed; why is told at the end."""
        self._end(host, FAILED if problem else DONE)

    def _end(self, host: str, mark: str) -> None:
        if host in self._begun:
            title, begun = self._begun.pop(host)
            print(f"  {mark} {host}: {title} ({time.monotonic() - begun:.1f} s)", file=self._out, flush=True)


class Screen:
    """For people: all hosts, each with what it is at."""

    def __init__(self, hosts: Sequence[str], live: Live) -> None:
        self._live, self._stage = live, ""
        self._rows = dict.fromkeys(hosts, (WAITING, ""))
        self._begun = dict.fromkeys(hosts, 0.0)

    def stage(self, stage: Stage) -> None:
        """Its hosts wait for their turn."""
        self._stage = stage.title
        for step in stage.steps:
            self._rows[step.host.name] = WAITING, "waits"
        self.show()

    def action(self, host: str, title: str) -> None:
        """What it is at now."""
        self._rows[host], self._begun[host] = (AT_WORK, title), time.monotonic()
        self.show()

    def ended(self, host: str, problem: str = "") -> None:
        """Through, or not."""
        _, title = self._rows[host]
        self._rows[host] = (FAILED, title) if problem else (DONE, self._stage)
        self.show()

    def show(self) -> None:
        """The table as it is now."""
        self._live.update(self.table())

    def table(self) -> Table:
        """A row a host."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(self._stage), title_justify="left", box=None, show_header=False)
        for host, (mark, title) in self._rows.items():
            since = f"{time.monotonic() - self._begun[host]:.0f} s" if mark == AT_WORK else ""
            table.add_row(mark, Text(host), Text(title, overflow="ellipsis", no_wrap=True), since)
        return table


@contextmanager
def display(out: TextIO, hosts: Sequence[str]) -> Iterator[Display]:
    """What fits to where it is shown."""
    if not out.isatty() or importlib.util.find_spec("rich") is None:
        yield Lines(out)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(file=out), refresh_per_second=4) as live:
        screen = Screen(hosts, live)
        live.get_renderable = screen.table  # type: ignore[method-assign]  # so that the seconds go on
        yield screen
