"""What every part's command line has in common: flags, logging, signals, and errors of one line.

A part's module in `cli/` declares `PROGRAM`, `FLAGS` and `async def run(values)`, which serves until it is cancelled; its `main`
is `command.main(PROGRAM, FLAGS, run, arguments)`. Since `run` touches neither signals nor logging, several parts can share a process.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from . import flags, logs
from .flags import Flag, FlagError, HelpAsked, Values

_log = logging.getLogger(__name__)

VERBOSITY = Flag("v", flags.integer, 0, "Verbosity of the log; 4 and more show debug messages.", short="v")


class UsageError(Exception):
    """A command line that cannot be served; one line for the user that says what to do. Exit code 2."""


class Failure(Exception):
    """The part cannot start or go on; one line for the user. Exit code 1."""


def main(
    program: str, declared: Sequence[Flag], run: Callable[[Values], Awaitable[None]], arguments: Sequence[str]
) -> int:
    """Runs a part until SIGTERM or SIGINT; the exit code."""
    try:
        values = flags.parse(program, declared, arguments)
        logs.setup(values.get("v", 0))
        for line in flags.warnings(declared, values):
            _log.warning("%s", line)
        import uvloop

        uvloop.run(until_signalled(run(values)))
    except HelpAsked as asked:
        return show(asked)
    except (FlagError, UsageError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except ExceptionGroup as group:  # of a part's tasks
        expected, others = group.split((UsageError, Failure))
        if expected is None or others is not None:
            raise
        for leaf in leaves(expected):
            print(f"{program}: {leaf}", file=sys.stderr)
        return 1
    return 0


def show(text: HelpAsked) -> int:
    """Prints it; the exit code."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        return _unread()
    return 0


def _unread() -> int:
    """Nobody reads on, as after `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    """The exceptions of a group and of the groups in it."""
    errors: list[BaseException] = []
    for error in group.exceptions:
        errors += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return errors


async def until_signalled(work: Awaitable[None]) -> None:
    """Awaits the work; SIGTERM and SIGINT cancel it, and that is no error."""
    task = asyncio.ensure_future(work)
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        if not stopped:
            raise


def read_file(values: Values, name: str) -> bytes:
    """What is in the file of a flag; b"" where it is not given. UsageError where it cannot be read."""
    path = values[name]
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise UsageError(f"--{name}={path}: {error.strerror}") from error


def once(
    program: str,
    declared: Sequence[Flag],
    work: Callable[[Values], int | None],
    arguments: Sequence[str],
    words: bool = False,
) -> int:
    """Runs a command that does one thing and ends; the exit code is what it gives, 1 for a Failure, 130 when interrupted.

    `words`: see `flags.parse`.
    """
    try:
        # Everywhere, as in upstream's tools: whoever looks for a fault types it before anything else.
        verbose = () if "v" in {flag.name for flag in declared} else (VERBOSITY,)
        values = flags.parse(program, (*declared, *verbose), arguments, words)
        if verbose and "v" in values.given:
            logs.setup(values["v"])
        for line in flags.warnings(declared, values):
            print(f"{program}: {line}", file=sys.stderr)
        return work(values) or 0
    except HelpAsked as asked:
        return show(asked)
    except (FlagError, UsageError) as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return _unread()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"{program}: {where}{error.strerror or error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{program}: interrupted", file=sys.stderr)
        return 130
