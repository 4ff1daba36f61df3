"""`pybernetes status`."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.cluster.layout import Layout
    from pybernetes.cluster.settings import Settings

PROGRAM = "pybernetes status"
FLAGS = (
    Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),
    Flag("json", flags.boolean, False, "One JSON array of {kind, name, ok, text}."),
)


def main(arguments: list[str]) -> int:
    """0 if everything is well, 1 if something is not."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> int:
    from pybernetes.cluster import state

    place, settings = state.existing(values["data-dir"])
    return print_status(place, settings, values["json"])


def print_status(place: Layout, settings: Settings, as_json: bool = False) -> int:
    """Prints, and says whether all is well: 0 or 1."""
    from pybernetes.cluster import status

    lines = asyncio.run(status.status(place, settings, datetime.now(UTC)))
    if as_json:
        print(json.dumps([{"kind": x.kind, "name": x.name, "ok": x.ok, "text": x.text} for x in lines]))
    else:
        print(status.table(lines))
    return 0 if all(line.ok for line in lines) else 1
