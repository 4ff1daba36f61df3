"""One of the processes of `multisocket` (see `workers`): python -m pybernetes.dns.worker COREFILE PORT LEVEL."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from pathlib import Path

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.component import logs

from .app import App, StartError

POLL_SECONDS = 0.05


async def run(path: Path, port: int, clock: Clock) -> None:
    """Serves until standard input ends. StartError."""
    app = App(path, port, worker=True)
    await app.start()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    telling = asyncio.ensure_future(_tell_ready(app, clock))
    try:
        while line := await reader.readline():
            if line == b"metrics\n":
                _say({"metrics": app.metrics.registry.text()})
            elif line == b"reload\n":
                app.request_reload()
    finally:
        telling.cancel()
        await app.stop()


async def _tell_ready(app: App, clock: Clock) -> None:
    while not app.ready:
        await clock.sleep(POLL_SECONDS)
    _say({"ready": True})


def _say(message: object) -> None:
    print(json.dumps(message), flush=True)


def main(arguments: list[str]) -> int:
    """The exit code. An interrupt of the terminal is the first process's business, which ends this one."""
    import uvloop

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    path, port, level = arguments
    logs.setup(4 if int(level) <= logging.DEBUG else 0)
    try:
        uvloop.run(run(Path(path), int(port), RealClock()))
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
