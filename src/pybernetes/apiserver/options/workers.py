"""Flags of kube-apiserver about its processes (pybernetes' own)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from ..server import Options

MOST = 64

FLAGS = (
    Flag(
        "workers",
        flags.integer,
        1,
        "Processes that answer on the port (pybernetes' own flag). Each has all objects in memory; the first one has the store.",
    ),
    Flag("worker-number", flags.integer, 0, "Which of the --workers this process is; they are started by the first."),
)


def count(values: Values) -> int:
    """How many processes there are, this one included. UsageError."""
    workers: int = values["workers"]
    number: int = values["worker-number"]
    if not 1 <= workers <= MOST:
        raise UsageError(f"--workers={workers}: want 1 to {MOST}")
    if not 0 <= number < workers:
        raise UsageError(f"--worker-number={number}: it is given by a server to its own workers")
    file = values["audit-log-path"]
    if workers > 1 and file not in ("", "-"):
        raise UsageError(
            f"--workers={workers} and --audit-log-path={file}: a file is written by one process: give --audit-log-path=-, or a webhook"
        )
    return workers


def shared(chosen: Options, workers: int) -> None:
    """What several processes have together: the port, the store, and what may be under way at a time."""
    if workers > 1:
        chosen.reuse_port = chosen.shared_store = True
        limits = chosen.limits
        chosen.limits = replace(
            limits, read_only=-(-limits.read_only // workers), mutating=-(-limits.mutating // workers)
        )
