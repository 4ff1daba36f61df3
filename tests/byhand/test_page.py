"""docs/by-hand.md from its first command to its last. With BYHAND_UPDATE=1 the outputs on the page become those that came."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby

import pytest

from tests.hosts import REPOSITORY, Host

from .page import Block, blocks, difference, steps, with_outputs

PAGE = REPOSITORY / "docs" / "by-hand.md"
ALL = list(blocks(PAGE.read_text()))
SECTIONS = [(heading, list(part)) for heading, part in groupby(ALL, lambda block: block.heading)]
UNTIL_SECONDS = 120.0

failed: list[str] = []
outputs: dict[Block, list[str]] = {}


@pytest.mark.parametrize(("heading", "section"), SECTIONS, ids=[heading for heading, _ in SECTIONS])
def test_section(heading: str, section: list[Block], hosts: dict[str, Host]) -> None:
    """Each builds on those before it."""
    if failed:
        pytest.skip(f"an earlier section has failed: {failed[0]}")
    failed.append(heading)
    for block in section:
        chosen = [hosts[name] for name in block.hosts]
        for role in block.values("again"):
            for earlier in ALL:
                if role in earlier.values("role"):
                    play_on_all(earlier, chosen)
        play_on_all(block, chosen)
    failed.clear()
    if os.environ.get("BYHAND_UPDATE") and section == SECTIONS[-1][1]:
        PAGE.write_text(with_outputs(PAGE.read_text(), outputs))


def play_on_all(block: Block, chosen: list[Host]) -> None:
    """On the hosts at the same time, as readers with several terminals do."""
    with ThreadPoolExecutor(len(chosen)) as threads:
        list(threads.map(partial(play, block), chosen))


def play(block: Block, host: Host) -> None:
    """Runs a block on one host; AssertionError with the line of the page."""
    if block.language == "sh":
        code, came = host(f"set -eu\n{block.body}")
        assert code == 0, f"{PAGE.name}:{block.line} on {host.name} ended with {code}:\n{came}{logs(host)}"
        return
    shown_here: list[str] = []
    for command, shown in steps(block.body):
        end = time.monotonic() + (UNTIL_SECONDS if "until" in block.options else 0.0)
        while True:
            _, came = host(command)
            wrong = difference(shown, came)
            if not wrong:
                shown_here.append("".join(f"{line.rstrip()}\n" for line in came.splitlines()))
                break
            text = f"{PAGE.name}:{block.line} on {host.name}: {command}\n{wrong}all of it:\n{came}{logs(host)}"
            assert time.monotonic() < end, text
            time.sleep(0.3)
    outputs[block] = shown_here


def logs(host: Host) -> str:
    """The last lines of each unit on it."""
    return host("tail -n 15 /var/log/units/*.log 2>/dev/null")[1]
