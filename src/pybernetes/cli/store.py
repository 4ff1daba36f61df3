"""`pybernetes store copy FROM TO`: all objects of a cluster from one store into another, while no API server is running on either."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from pybernetes.apiserver.options import FLAGS as SERVER_FLAGS
from pybernetes.apiserver.options import encryption as encryption_options
from pybernetes.apiserver.options import store as store_options
from pybernetes.apiserver.options.store import ETCD_SCHEMES
from pybernetes.apiserver.storage import copying, snapshot
from pybernetes.apiserver.storage.copying import Place
from pybernetes.apiserver.storage.snapshot import Snapshot
from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, HelpAsked, Values
from pybernetes.store.types import StoreError

PROGRAM = "pybernetes store copy"
ENCRYPTION, TARGET_ENCRYPTION = encryption_options.FILE, f"target-{encryption_options.FILE}"
TAKEN = (
    "etcd-cafile",
    "etcd-certfile",
    "etcd-keyfile",
    "etcd-prefix",
    "event-ttl",
    "service-node-port-range",
    ENCRYPTION,
)
FLAGS: tuple[Flag, ...] = (
    *(flag for flag in SERVER_FLAGS if flag.name in TAKEN),
    Flag(
        TARGET_ENCRYPTION,
        flags.string,
        "",
        "The EncryptionConfiguration of TO, where it is not that of FROM (pybernetes' own flag).",
    ),
)
WANT = "want sqlite:PATH, file:PATH (a snapshot), or http(s)://HOST:PORT of etcd's members, separated by commas"
USAGE = f"""Usage:
  {PROGRAM} FROM TO [flags]

FROM and TO: {WANT}. TO must be empty, or not there.
Flags are kube-apiserver's, for both. A snapshot is never encrypted."""


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
    written = not target.startswith("file:")
    read = not source.startswith("file:")
    for name, used in (
        (TARGET_ENCRYPTION, written),
        (ENCRYPTION, read or (written and not values[TARGET_ENCRYPTION])),
    ):
        if values[name] and not used:
            raise UsageError(f"--{name}: there is nothing that it says how to encrypt: snapshots never are")
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
    async with _opened(where, values, values[ENCRYPTION]) as place:
        return await copying.whole(place)


async def _write(where: str, taken: Snapshot, values: Values) -> int:
    scheme, _, path = where.partition(":")
    if scheme == "file":
        snapshot.write(Path(path), taken)
        return taken.revision
    async with _opened(where, values, values[TARGET_ENCRYPTION] or values[ENCRYPTION]) as place:
        return await copying.fill(place, taken)


@asynccontextmanager
async def _opened(where: str, values: Values, encryption_file: str) -> AsyncIterator[Place]:
    """The store as a server there has it, whose encryption the file says. UsageError, Failure."""
    name = "etcd-servers" if where.startswith(ETCD_SCHEMES) else "store"
    chosen = Values(
        {**flags.parse(PROGRAM, SERVER_FLAGS, [f"--{name}={where}"]), **values, ENCRYPTION: encryption_file}
    )
    encryption = encryption_options.made(chosen)
    if encryption is not None:
        await encryption.start()
    try:
        place = await store_options.place(chosen, encryption)
        try:
            yield place
        finally:
            await place.store.close()
    finally:
        if encryption is not None:
            await encryption.close()
