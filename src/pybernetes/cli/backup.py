"""`pybernetes backup FILE`: everything of this host that makes the cluster, in one file."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, HelpAsked, Values

from . import deployflags, etcdflags

if TYPE_CHECKING:
    from pybernetes.store.backends import Location

PROGRAM = "pybernetes backup"
FLAGS = (
    *etcdflags.ACCESS,
    deployflags.KUBECONFIG_DIR,
    Flag("data-dir", flags.string, "", "A cluster of `up` in place of one of several hosts: its directory."),
    Flag("include", flags.strings, [], "Further files and directories, absolute, such as /etc/nginx."),
    Flag("store", flags.boolean, True, "With all objects; false: certificates and configuration alone, as for a second master."),
)  # fmt: skip
USAGE = f"""Usage:
  {PROGRAM} FILE [flags]

The objects (a snapshot of etcd, or SQLite's file), certificates, keys, kubeconfigs and configuration of this host. Nothing is encrypted:
keep FILE as you keep the keys in it. `-` is standard output, for a tool that encrypts."""


def main(arguments: list[str]) -> int:
    """1 where something cannot be had."""
    if {"--help", "-h"} & set(arguments):
        return command.show(HelpAsked("\n\n".join((USAGE, flags.usage(PROGRAM, FLAGS).partition("\n\n")[2]))))
    return command.once(PROGRAM, FLAGS, run, arguments, words=True)


def run(values: Values) -> None:
    from pybernetes.deploy import backup

    if len(values.arguments) != 1:
        raise UsageError(f"want one FILE, is {' '.join(values.arguments) or 'nothing'} (see {PROGRAM} --help)")
    name = values.arguments[0]
    where: Location | Path | None
    if values["data-dir"]:
        roots, where = _of_up(values["data-dir"])
    else:
        roots, where = backup.roots(more=(values["kubeconfig-dir"], values["cert-dir"])), None
        where = etcdflags.location(values) if values["store"] else None
    roots += [Path(path) for path in values["include"]]
    if not all(path.is_absolute() for path in roots):
        raise UsageError("--include, --cert-dir, --kubeconfig-dir: want absolute paths")
    out = None if name == backup.STDOUT else Path(name)
    where = where if values["store"] else None
    summary = etcdflags.run(backup.make(out, roots, where, os.uname().nodename, datetime.now(UTC)))
    held = f"{summary.store.kind}, {summary.store.size} bytes" if summary.store else "no store"
    count = sum(entry.kind == "file" for entry in summary.files)
    print(f"{name}: {count} files, {held}", file=sys.stderr if out is None else sys.stdout)


def _of_up(given: str) -> tuple[list[Path], Path]:
    from pybernetes.cluster import state

    layout, _ = state.existing(given)
    return [*sorted(layout.root.glob("*.conf")), layout.pki, layout.settings], layout.database
