"""`pybernetes supervise`: runs the parts of a cluster that `up` has made, in the foreground; what a service manager would start."""

from __future__ import annotations

import signal
import sys

from pybernetes.component import command, flags
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values

PROGRAM = "pybernetes supervise"
FLAGS = (Flag("data-dir", flags.string, "", "The cluster's directory (default: /var/lib/pybernetes, as root)."),)


def main(arguments: list[str]) -> int:
    """Until SIGTERM; 1 if there is no cluster, or another supervisor has it."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    from pybernetes.cluster import contents, parts, state
    from pybernetes.cluster.supervisor import Supervisor

    signal.signal(
        signal.SIGHUP, signal.SIG_IGN
    )  # `up` sends it to who holds the lock, perhaps before the supervisor listens
    place, settings = state.existing(values["data-dir"])
    try:
        state.hold(place.lock)
    except state.AlreadyRunning:
        raise Failure(f"the cluster in {place.root} has a supervisor already") from None
    closed = contents.close_to_others(place)
    if closed:
        print(closed, file=sys.stderr, flush=True)
    Supervisor(parts.parts(place, settings), place.logs, place.state, parts.PRELOAD).run()
