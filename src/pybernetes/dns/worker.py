"""One of the further processes of `multisocket` (`component/workers.py`): python -m pybernetes.dns.worker COREFILE PORT LEVEL.

A whole server with the same Corefile, on the same ports. Ports for people (metrics, health, ready) are the first process's.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.component import command, logs
from pybernetes.component.workers import READY, FirstProcess

from .app import RELOAD, App, StartError

POLL_SECONDS = 0.05


async def run(path: Path, port: int, clock: Clock) -> None:
    """Serves until the first process has ended. StartError."""
    first, app = FirstProcess(clock), App(path, port, worker=True)
    await app.start()
    telling = asyncio.ensure_future(_tell_ready(first, app, clock))
    try:
        await first.ended(app.metrics.text, lambda word: app.request_reload() if word == RELOAD else None)
    finally:
        telling.cancel()
        await app.stop()


async def _tell_ready(first: FirstProcess, app: App, clock: Clock) -> None:
    while not (app.ready and first.tell(READY)):
        await clock.sleep(POLL_SECONDS)


def main(arguments: list[str]) -> int:
    """The exit code."""
    import uvloop

    path, port, level = arguments
    logs.setup(4 if int(level) <= logging.DEBUG else 0)
    try:
        uvloop.run(command.until_signalled(run(Path(path), int(port), RealClock())))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
