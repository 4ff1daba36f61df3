"""`pybernetes reset`: takes back what init or join has made on this host (upstream: cmd/kubeadm/app/cmd/reset.go)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import Failure
from pybernetes.component.flags import Flag, Values

from . import deployflags, kubeadmflags

PROGRAM = "pybernetes reset"
FLAGS = (
    deployflags.CERT_DIR,
    Flag("force", flags.boolean, False, "Reset the node without prompting for confirmation.", short="f"),
    *kubeadmflags.RESET,
)


def main(arguments: list[str]) -> int:
    """0 when nothing is left; it may be run again."""
    return command.once(PROGRAM, FLAGS, run, arguments)


def run(values: Values) -> None:
    """Failure."""
    from pybernetes.cluster.assembly import hoststate, removal

    if os.geteuid():
        raise Failure("user is not running as root: run it with sudo")
    try:
        state = hoststate.load()
    except hoststate.StateError as error:
        raise Failure(str(error)) from error
    if not values["force"]:
        _confirm()
    removal.reset(state, Path(values["cert-dir"]), lambda line: print(line, flush=True))
    name = state.node_name if state is not None else "NAME"
    print(
        f"Nothing of the cluster is left on this host. Its Node is: `kubectl delete node {name}` on a control-plane host removes it."
    )


def _confirm() -> None:
    print(
        "[reset] WARNING: Changes made to this host by 'pybernetes init' or 'pybernetes join' will be reverted.",
        file=sys.stderr,
    )
    print("[reset] Are you sure you want to proceed? [y/N]: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("aborted reset operation; --force does not ask")
