"""How `up` shows what it does: a live line on a terminal (with the extra `display`), a plain line a step otherwise."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class Progress:
    """One step at a time; `note` is a line that stays."""

    def __init__(self, out: TextIO | None = None) -> None:
        """`out`: what is the standard output now, unless told otherwise."""
        self._out = sys.stdout if out is None else out
        self._live = self._out.isatty() and importlib.util.find_spec("rich") is not None

    def note(self, text: str) -> None:
        """A line of its own."""
        print(text, file=self._out, flush=True)

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Shows the step and, when it is done, how long it took; a step that fails is named."""
        begun = time.monotonic()
        try:
            if self._live:
                from rich.console import Console  # only people see it

                with Console(file=self._out).status(title):
                    yield
            else:
                yield
        except BaseException:
            self.note(f"✗ {title}")
            raise
        self.note(f"✓ {title} ({time.monotonic() - begun:.1f} s)")
