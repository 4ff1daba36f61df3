"""`pybernetes restore FILE`: brings back on a host what `pybernetes backup` has taken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, HelpAsked, Values

from . import etcd

if TYPE_CHECKING:
    from pybernetes.deploy.archive import Manifest

PROGRAM = "pybernetes restore"
WHAT = ("all", "files", "store", "list")
FLAGS = (
    Flag("what", flags.string, "all", f"One of {', '.join(WHAT)}: certificates and configuration, the objects, both, or only show."),
    Flag("overwrite", flags.boolean, False, "Also over files that are there with another content."),
    Flag("root", flags.string, "/", "Below another directory, as to look at it."),
    *etcd.RESTORE,
)  # fmt: skip
USAGE = f"""Usage:
  {PROGRAM} FILE [flags]

Checks all of FILE, writes its files as they were, and makes etcd's data (or puts SQLite's file) where none is. Nothing may run on it
meanwhile. etcd's member is the first of a new cluster: other members join it anew, or are restored from the same snapshot with
--initial-cluster."""


def main(arguments: list[str]) -> int:
    """1 where something cannot be brought back."""
    if {"--help", "-h"} & set(arguments):
        return command.show(HelpAsked("\n\n".join((USAGE, flags.usage(PROGRAM, FLAGS).partition("\n\n")[2]))))
    return command.once(PROGRAM, FLAGS, run, arguments, words=True)


def run(values: Values) -> None:
    from pybernetes.deploy import archive, backup

    if len(values.arguments) != 1:
        raise UsageError(f"want one FILE, is {' '.join(values.arguments) or 'nothing'} (see {PROGRAM} --help)")
    if values["what"] not in WHAT:
        raise UsageError(f"--what={values['what']}: want one of {', '.join(WHAT)}")
    path, root = Path(values.arguments[0]), Path(values["root"])
    try:
        if values["what"] == "list":
            _show(archive.verify(path))
        if values["what"] == "all":
            _check_store(archive.verify(path), root, values)  # before anything is written
        if values["what"] in ("all", "files"):
            for written in backup.restore_files(path, root, values["overwrite"]):
                print(written)
        if values["what"] in ("all", "store"):
            _restore_store(path, root, values)
    except archive.ArchiveError as error:
        raise Failure(str(error)) from error


def _check_store(manifest: Manifest, root: Path, values: Values) -> None:
    from pybernetes.deploy.etcd import snapshots

    if manifest.store is None or manifest.store.kind != "etcd":
        return
    try:
        snapshots.ready(root / str(etcd.member(values).data_dir).lstrip("/"))
    except snapshots.SnapshotError as error:
        raise Failure(str(error)) from error


def _show(manifest: Manifest) -> None:
    print(f"made on {manifest.host} at {manifest.created} by v{manifest.kubernetes}")
    if manifest.store is not None:
        print(f"{manifest.store.kind} {manifest.store.path} {manifest.store.size} bytes")
    for entry in manifest.files:
        print(f"{entry.mode:04o} {entry.path}{f' -> {entry.target}' if entry.target else ''}")


def _restore_store(path: Path, root: Path, values: Values) -> None:
    from pybernetes.deploy import archive, backup
    from pybernetes.deploy.archive import ArchiveError

    held = archive.verify(path).store
    if held is None:
        if values["what"] == "store":
            raise ArchiveError(f"{path} holds no store: it was made with --store=false")
        return
    if held.kind == "sqlite":
        target = root / held.path.lstrip("/")
        with backup.store_of(path, target.parent) as (_, taken):
            backup.restore_sqlite(taken, target)
        print(target)
        return
    member = etcd.member(values)
    target = root / str(member.data_dir).lstrip("/")
    with backup.store_of(path, target.parent) as (_, taken):
        etcd.make_data(taken, member, target)
