"""`pybernetes store copy FROM TO`: all objects of a cluster from one store into another, while no API server is running on either."""

from __future__ import annotations

import asyncio
import sys
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
    if arguments[:1] in ([], ["--help"], ["-h"]):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    if arguments[0] != "copy":
        print(f"pybernetes store: there is no command {arguments[0]!r}; there is copy", file=sys.stderr)
        return 2
    places = [word for word in arguments[1:] if not word.startswith("-")]
    rest = [word for word in arguments[1:] if word.startswith("-")]

    def work(values: Values) -> None:
        if len(places) != 2:
            raise UsageError("want FROM and TO, and flags as --NAME=VALUE (see pybernetes store copy --help)")
        asyncio.run(copy(places[0], places[1], values))

    if {"--help", "-h"} & set(rest):
        return command.once(PROGRAM, FLAGS, _help, [])
    return command.once(PROGRAM, FLAGS, work, rest)


def _help(_: Values) -> None:
    raise HelpAsked(f"{USAGE}\n\n{flags.usage(PROGRAM, FLAGS).partition(chr(10) * 2)[2]}")


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
