"""`pybernetes deploy cluster.yaml`: all hosts of a cluster from one file, over SSH."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.deploy.rollout.clusterfile import Description
    from pybernetes.deploy.rollout.execute import Program, Rollout
    from pybernetes.deploy.rollout.plan import Stage
    from pybernetes.deploy.rollout.ssh import Connections

PROGRAM = "pybernetes deploy"
FLAGS = (
    Flag(
        "dry-run",
        flags.boolean,
        False,
        "Change nothing: print every file, command and unit, host by host; it reads as an installation guide.",
    ),
    Flag("offline", flags.boolean, False, "With --dry-run: ask no host; show what new hosts would go through."),
    Flag("limit", flags.strings, [], "Names of the hosts that alone are touched (default: all)."),
    Flag("yes", flags.boolean, False, "Do not ask on a terminal before anything is changed.", short="y"),
)
INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """0 when every host is as the file says; 1 where one is not, 2 for a file or command line that cannot be used."""
    return command.once(PROGRAM, FLAGS, run, arguments, True)


def run(values: Values) -> int:
    from pybernetes.deploy.rollout import judge
    from pybernetes.deploy.rollout.ssh import Connections

    if len(values.arguments) != 1:
        raise UsageError("want one file: pybernetes deploy cluster.yaml")
    if values["offline"] and not values["dry-run"]:
        raise UsageError("--offline is for --dry-run: hosts that are not asked cannot be changed")
    description = _described(values.arguments[0])
    names = [host.name for host in description.entry.hosts]
    unknown = [name for name in values["limit"] if name not in names]
    if unknown:
        raise UsageError(f"--limit={','.join(values['limit'])}: {', '.join(unknown)}: the file has {', '.join(names)}")
    for line in judge.warnings(description):
        print(f"warning: {line}", file=sys.stderr)
    connections = Connections()
    try:
        return asyncio.run(_deploy(description, connections, values))
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on where it stopped", file=sys.stderr)
        return INTERRUPTED
    finally:
        connections.forget()


def _described(path: str) -> Description:
    from pybernetes.deploy.configuration import ConfigurationError
    from pybernetes.deploy.rollout import clusterfile, judge

    try:
        description = clusterfile.read(Path(path).read_text())
        judge.check(description)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error.strerror if isinstance(error, OSError) else error}") from error
    except ConfigurationError as error:
        raise UsageError(f"{path}: {error}") from error
    return description


async def _deploy(description: Description, connections: Connections, values: Values) -> int:
    from pybernetes.deploy.rollout import guide
    from pybernetes.deploy.rollout.execute import Rollout, RolloutError

    entry = description.entry
    try:
        hosts = {host.name: connections.host(host.name, host.address, host.ssh, entry.ssh) for host in entry.hosts}
        rollout = Rollout(description, hosts, _program(entry.program), frozenset(values["limit"]))
        stages = rollout.offline() if values["offline"] else await _planned(rollout)
        if values["dry-run"]:
            print(guide.guide(stages), end="")
            return 0
        print(guide.summary(stages), end="", flush=True)
        if not stages or not _agreed(values):
            return 0 if not stages else 1
        await _carried_out(rollout)
        return 0
    except RolloutError as error:
        told = "".join(f"\n  {line}" for line in error.report)
        raise Failure(f"{error}{told}\nmend that and run the same command again: what is done stays done") from error
    finally:
        await connections.close()


async def _planned(rollout: Rollout) -> list[Stage]:
    from pybernetes.deploy.rollout.plan import notes

    situation, stages = await rollout.plan()
    for line in notes(situation):
        print(f"note: {line}", file=sys.stderr)
    return stages


async def _carried_out(rollout: Rollout) -> None:
    from .deploydisplay import display

    with display(sys.stdout, [host.name for host in rollout.description.entry.hosts]) as shown:
        count = await rollout.run(shown)
    for line in await rollout.settled():
        print(f"note: {line}", file=sys.stderr)
    print(f"done: {count} actions; every host is as the file describes it")


def _agreed(values: Values) -> bool:
    """Only people at a terminal are asked."""
    if values["yes"] or not sys.stdin.isatty():
        return True
    print("Go on? [y/N] ", end="", flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _program(path: str) -> Program:
    from pybernetes.deploy.rollout import bundle
    from pybernetes.deploy.rollout.execute import Program

    if path:
        return Program(path)
    try:
        program = bundle.find()
    except (bundle.BundleError, OSError) as error:
        raise Failure(f"this installation cannot be brought to the hosts: {error}") from error
    return Program("", program.digest, program.python, program.machine, program.packed)
