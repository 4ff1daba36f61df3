"""`pybernetes upgrade plan|apply|node`: a cluster goes to the version of this program (upstream: cmd/kubeadm/app/cmd/upgrade)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import flags, subcommands
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.subcommands import Group, Subcommand

from . import clusterflags

if TYPE_CHECKING:
    from pybernetes.cluster.assembly.upgradephases import Phase, Upgrade
    from pybernetes.deploy.upgradeplan import Version

PROGRAM = "pybernetes upgrade"
COMMON = (
    Flag("dry-run", flags.boolean, False, "Do not change any state, just output what actions would be performed."),
    clusterflags.SKIPPED,
    Flag(
        "backup-dir",
        flags.string,
        "/var/lib/pybernetes/backups",
        "Where the backup goes that is made before; '': none is made.",
        clusterflags.OURS,
    ),
    Flag(
        "timeout",
        flags.duration,
        240.0,
        "How long a part may take to be healthy before all are rolled back.",
        clusterflags.OURS,
    ),
)
APPLY = (
    *COMMON,
    Flag(
        "force",
        flags.boolean,
        False,
        "Force upgrading although some requirements might not be met.",
        short="f",
    ),
    Flag("yes", flags.boolean, False, "Perform the upgrade and do not prompt for confirmation.", short="y"),
)


def main(arguments: list[str]) -> int:
    """1 where an upgrade is refused, or was rolled back."""
    return subcommands.main(PROGRAM, COMMANDS, arguments)


def plan(values: Values) -> None:
    """What runs where, what it would become, what is to be typed. Failure."""
    from pybernetes.deploy import upgradeplan

    work = _work(values, True)
    if not work.control_plane:
        raise Failure("this host is a worker: ask on a control-plane host")
    work.tell("[upgrade/config] Reading configuration from the cluster...")
    work.learn()
    work.target = _target(values)
    running = work.running
    said = upgradeplan.objections(running, work.target, work.target)
    work.tell(f"[upgrade/versions] Cluster version: {upgradeplan.parse(running.configured)}")
    work.tell(f"[upgrade/versions] pybernetes version: {work.target}")
    work.tell("")
    possible = not said.left(False)
    print(upgradeplan.report(running, work.target, work.differences(), work.host.name, possible=possible))
    if said.left(False):
        raise Failure("; ".join(said.left(False)))


def apply(values: Values) -> None:
    """The first control-plane host. Failure, UsageError."""
    work = _work(values, True)
    if not work.control_plane:
        raise Failure(
            "this host is a worker: `pybernetes upgrade node` is for it, `apply` for the first control-plane host"
        )
    work.target, work.force = _target(values), values["force"]
    if not values["yes"] and not values["dry-run"]:
        work.confirm = _confirm
    _run(work, values)
    if not values["dry-run"]:
        print(f'\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to "{work.target}".')
        print(
            "\n[upgrade] Now `pybernetes upgrade node` on the other control-plane hosts, one after the other; then on workers."
        )


def node(values: Values) -> None:
    """A further host. Failure."""
    work = _work(values, False)
    _run(work, values)
    if not values["dry-run"]:
        print("\n[upgrade] The configuration for this node was successfully upgraded!")


def _run(work: Upgrade, values: Values) -> None:
    from pybernetes.cluster.assembly.upgradephases import PHASES

    clusterflags.known(values["skip-phases"], [phase.name for phase in PHASES])
    if not values["dry-run"]:
        _alone()
    work.learn()
    for phase in PHASES:
        if clusterflags.skipped(phase.name, values["skip-phases"]):
            continue
        if not values["dry-run"] or phase.name == "preflight":
            _do(work, phase)
    if values["dry-run"]:
        _show(work, [phase for phase in PHASES if not clusterflags.skipped(phase.name, values["skip-phases"])])


def _alone() -> None:
    """Until this process ends: who puts files back must not meet who writes them. Failure."""
    from pybernetes import files
    from pybernetes.cluster.assembly import hoststate

    try:
        files.hold(hoststate.FOLDER / "upgrade.lock")
    except files.Held as held:
        raise Failure(f"another upgrade is at work on this host (process {held.pid}): wait for its end") from held


def _show(work: Upgrade, phases: list[Phase]) -> None:
    """What would be done."""
    from pybernetes.cluster.assembly.renewal import due

    for phase in phases[1:]:
        print(f"[dryrun] Would run the phase {phase.name}: {phase.summary}")
    changed = work.differences()
    for one in changed:
        print(one.text())
    again = ", ".join(daemon.name for daemon in work.daemons() if due(work.runner, daemon, changed))
    print(f"[dryrun] Would start anew, one after the other: {again}")


def _do(work: Upgrade, phase: Phase) -> None:
    from pybernetes.cluster.assembly.runner import RunError

    try:
        phase.run(work)
    except (Failure, RunError) as error:
        raise Failure(f"error execution phase {phase.name}: {error}") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise Failure(f"error execution phase {phase.name}: {where}{error.strerror or error}") from error


def _work(values: Values, first: bool) -> Upgrade:
    from pybernetes.cluster.assembly import facts, hoststate
    from pybernetes.cluster.assembly.runner import runner
    from pybernetes.cluster.assembly.upgradephases import Upgrade
    from pybernetes.cluster.assembly.work import this_host
    from pybernetes.deploy import layout, types
    from pybernetes.deploy.configuration import Configuration

    if os.geteuid():
        raise Failure("user is not running as root: run it with sudo")
    try:
        state = hoststate.load()
    except hoststate.StateError as error:
        raise Failure(str(error)) from error
    if state is None:
        raise Failure("this host is in no cluster of pybernetes' making: `pybernetes init` or `join` come first")
    if not state.complete:
        raise Failure(f"`{state.command}` has not come to its end on this host: run it again, or `pybernetes reset`")
    given = values.get("backup-dir", "")
    if given and not Path(given).is_absolute():
        raise UsageError(f"--backup-dir={given}: want an absolute path")
    return Upgrade(
        Configuration(types.InitConfiguration(), types.ClusterConfiguration()),
        layout.FOREIGN,
        this_host(state.node_name, state.address, facts.interface_of(state.address), state.control_plane),
        runner(state.run_with),
        state,
        lambda line: print(line, flush=True),
        first=first,
        backups=Path(given) if given else None,
        seconds=values.get("timeout", 0.0),
    )


def _target(values: Values) -> Version:
    """The version that was named, else this program's. UsageError."""
    from pybernetes.cluster.assembly.upgradephases import THIS
    from pybernetes.deploy.upgradeplan import VersionError, parse

    try:
        return parse(values.arguments[0]) if values.arguments else THIS
    except VersionError as error:
        raise UsageError(str(error)) from error


def _confirm() -> None:
    print("[upgrade] Are you sure you want to proceed? [y/N]: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("won't proceed; the user didn't answer (Y|y) in order to continue; --yes does not ask")


COMMANDS = Group(
    "Upgrades a cluster to the version of this program: `apply` on the first control-plane host, then `node` on each other host.",
    {
        "plan": Subcommand("What runs where, what it can go to, what is to be done by hand", (), plan, "[VERSION]"),
        "apply": Subcommand(
            "The control plane and daemons of the first host, and what the cluster knows", APPLY, apply, "[VERSION]"
        ),
        "node": Subcommand("A further control-plane host, or a worker", COMMON, node),
    },
)
