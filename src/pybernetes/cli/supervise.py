"""`pybernetes supervise`: runs the parts of a cluster that `up` has made, or the programs of a host, in the foreground; what a service
manager would start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.cluster.supervisor import Part

PROGRAM = "pybernetes supervise"
FLAGS = (
    Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),
    Flag(
        "programs",
        flags.string,
        "",
        "The file of a host's programs, as init and join write it, in place of a cluster of `up`; read again at SIGHUP.",
    ),
    Flag("log-dir", flags.string, "/var/log/pybernetes", "Where the programs' logs go, NAME.log each."),
)


def main(arguments: list[str]) -> int:
    """Until SIGTERM; 1 if there is no cluster, or another supervisor has it."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    from pybernetes.cluster.supervisor import HANDED_OVER

    if HANDED_OVER not in os.environ:  # signals wait then: none is lost
        # `up` sends it to who holds the lock, perhaps before the supervisor listens
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if values["programs"]:
        _run_programs(Path(values["programs"]), Path(values["log-dir"]))
    else:
        _run_cluster(values["data-dir"])


def _run_programs(path: Path, logs: Path) -> None:
    from pybernetes.cluster import parts, state
    from pybernetes.cluster.supervisor import Supervisor, handed_over
    from pybernetes.deploy.daemons.render import supervised

    def read() -> list[Part]:
        return of_programs(path.read_bytes())

    def renewal() -> list[str]:
        python = supervised.parse(path.read_bytes()).python or sys.executable
        return [python, "-m", "pybernetes", "supervise", f"--programs={path}", f"--log-dir={logs}"]

    before = handed_over()
    try:
        programs = read()
    except OSError as error:
        raise Failure(f"--programs={path}: {error.strerror}") from None
    except ValueError as error:
        raise Failure(f"--programs={path}: {error}") from None
    supervisor = Supervisor(programs, logs, path.with_suffix(".state"), parts.PRELOAD, read, renewal, before)
    if before.lock < 0:
        try:
            supervisor.hold(state.hold(path.with_suffix(".lock")))
        except state.AlreadyRunning:
            raise Failure(f"the programs of {path} have a supervisor already") from None
    supervisor.run()


def of_programs(data: bytes) -> list[Part]:
    """The processes of a host's file of programs (`deploy/daemons/render/supervised.py`). ValueError for what cannot be read."""
    from pybernetes.cluster.supervisor import Part
    from pybernetes.deploy.daemons.render import supervised

    from .main import COMMANDS

    programs = []
    for program in supervised.parse(data).programs:
        head, *arguments = program.argv
        if program.ours and head not in COMMANDS:
            raise ValueError(f"{program.name}: there is no command {head!r}")
        module, foreign = (COMMANDS[head][0], "") if program.ours else ("", head)
        directories = tuple(program.directories)
        part = Part(program.name, module, tuple(arguments), foreign, program.environment, directories, bool(foreign))
        programs.append(part)
    return programs


def _run_cluster(directory: str) -> None:
    from pybernetes.cluster import contents, parts, state
    from pybernetes.cluster.supervisor import Supervisor

    place, settings = state.existing(directory)
    try:
        state.hold(place.lock)
    except state.AlreadyRunning:
        raise Failure(f"the cluster in {place.root} has a supervisor already") from None
    closed = contents.close_to_others(place)
    if closed:
        print(closed, file=sys.stderr, flush=True)
    Supervisor(parts.parts(place, settings), place.logs, place.state, parts.PRELOAD).run()
