"""`pybernetes store copy FROM TO`: all objects of a cluster from one store into another, while no API server is running on either."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pybernetes.apiserver.options import FLAGS as SERVER_FLAGS
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.options.store import ETCD_SCHEMES
from pybernetes.apiserver.storage import copying, snapshot
from pybernetes.apiserver.storage.snapshot import Snapshot
from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, HelpAsked, Values
from pybernetes.store.types import StoreError

PROGRAM = "pybernetes store copy"
TAKEN = ("etcd-cafile", "etcd-certfile", "etcd-keyfile", "etcd-prefix", "event-ttl", "service-node-port-range")
FLAGS: tuple[Flag, ...] = tuple(flag for flag in SERVER_FLAGS if flag.name in TAKEN)
WANT = "want sqlite:PATH, file:PATH (a snapshot), or http(s)://HOST:PORT of etcd's members, separated by commas"
USAGE = f"""Usage:
  {PROGRAM} FROM TO [flags]

FROM and TO: {WANT}. TO must be empty, or not there.
Flags are kube-apiserver's, for both."""


def main(arguments: list[str]) -> int:
    """Exit code 0 when all is copied."""
    words, options = split(arguments)

    def work(values: Values) -> None:
        if {"--help", "-h"} & set(options):
            raise HelpAsked("\n\n".join((USAGE, flags.usage(PROGRAM, FLAGS).partition("\n\n")[2])))
        if words[:1] != ["copy"]:
            raise UsageError(f"want copy FROM TO, is {' '.join(words) or 'nothing'} (see {PROGRAM} --help)")
        if len(words) != 3:
            raise UsageError(f"want FROM and TO, are {' '.join(words[1:]) or 'missing'} (see {PROGRAM} --help)")
        asyncio.run(copy(words[1], words[2], values))

    return command.once(PROGRAM, FLAGS, work, [one for one in options if one not in ("--help", "-h")])


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Words and flags, in any order; what follows a flag without = is its value."""
    words: list[str] = []
    options: list[str] = []
    for argument in arguments:
        last = options[-1] if options else ""
        if argument.startswith("-") or (last.startswith("--") and "=" not in last and last != "--help"):
            options.append(argument)
        else:
            words.append(argument)
    return words, options


async def copy(source: str, target: str, values: Values) -> None:
    """Says what was copied. UsageError, Failure."""
    for where in (source, target):
        if not where.startswith(("sqlite:", "file:", *ETCD_SCHEMES)):
            raise UsageError(f"{where}: {WANT}")
    try:
        taken = await _read(source, values)
    except StoreError as error:
        raise Failure(f"{source}: {error}") from error
    try:
        revision = await _write(target, taken, values)
    except StoreError as error:
        raise Failure(f"{target}: {error}") from error
    print(
        f"{len(taken.items)} objects copied from {source} at revision {taken.revision} to {target} at revision {revision}"
    )


async def _read(where: str, values: Values) -> Snapshot:
    scheme, _, path = where.partition(":")
    if scheme == "file":
        return snapshot.read(Path(path))
    if scheme == "sqlite" and not Path(path.removeprefix("//")).exists():
        raise StoreError("there is no such file")
    place = await store_options.place(_located(where, values))
    try:
        return await copying.whole(place)
    finally:
        await place.store.close()


async def _write(where: str, taken: Snapshot, values: Values) -> int:
    scheme, _, path = where.partition(":")
    if scheme == "file":
        snapshot.write(Path(path), taken)
        return taken.revision
    place = await store_options.place(_located(where, values))
    try:
        return await copying.fill(place, taken)
    finally:
        await place.store.close()


def _located(where: str, values: Values) -> Values:
    """The flags of a server there."""
    name = "etcd-servers" if where.startswith(ETCD_SCHEMES) else "store"
    chosen = flags.parse(PROGRAM, SERVER_FLAGS, [f"--{name}={where}"])
    return Values({**chosen, **values})
