"""`pybernetes kube-apiserver` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from pybernetes import files
from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.pki.contexts import ServerContext
from pybernetes.store.types import Compacted, Store, StoreError

from . import accessflags, requestflags, serviceflags

_log = logging.getLogger(__name__)

COMPACTION_SECONDS = 300.0  # upstream's --etcd-compaction-interval: so long a watch can go back

FLAGS = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on."),
    Flag("secure-port", flags.integer, 6443, "The port for HTTPS."),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM."),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM."),
    Flag("store", flags.string, "memory:", "sqlite:PATH or memory: (pybernetes' own flag)."),
    Flag(
        "etcd-compaction-interval",
        flags.duration,
        COMPACTION_SECONDS,
        "How often what watches no longer need is dropped; 0: never.",
    ),
    *accessflags.FLAGS,
    Flag("event-ttl", flags.duration, 3600.0, "How long events are kept after their last news."),
    *serviceflags.FLAGS,
    *requestflags.FLAGS,
    command.VERBOSITY,
)
PROGRAM = "pybernetes kube-apiserver"


async def run(values: Values) -> None:
    """Serves until cancelled."""
    from pybernetes.apiserver.server import APIServer, Options

    options = Options(
        host=values["bind-address"],
        port=values["secure-port"],
        ssl_context=_tls(values),
        services=serviceflags.options(values),
        event_ttl=values["event-ttl"],
        **accessflags.options(values),
        **requestflags.options(values),
    )
    try:
        store = await _store(values["store"])
    except StoreError as error:
        raise Failure(f"--store={values['store']}: {error}") from error
    try:
        server = APIServer(store, options)
        try:
            await server.start()
        except OSError as error:
            where = f"--secure-port={values['secure-port']}"
            raise Failure(f"{error.strerror or error}: is {where} in use?") from error
        _log.info("serving securely on %s:%d", values["bind-address"], server.port)
        try:
            await _compact(store, values["etcd-compaction-interval"])
            await asyncio.Event().wait()  # nothing is compacted: just serve
        finally:
            await server.stop()
    finally:
        await store.close()


async def _store(text: str) -> Store:
    from pybernetes.store.sqlite import SQLiteStore

    kind, _, place = text.partition(":")
    if kind == "memory" and not place:
        return await SQLiteStore.open(":memory:")
    if kind == "sqlite" and place:
        files.make_private_directory(Path(place).parent)
        return await SQLiteStore.open(place)
    raise UsageError(f"--store={text}: want sqlite:PATH or memory:")


async def _compact(store: Store, interval: float) -> None:
    """Drops what is older than the last round."""
    before = 0
    while interval > 0:
        await asyncio.sleep(interval)
        try:
            if before:
                await store.compact(before)
            before = await store.revision()
        except Compacted:
            continue
        except StoreError as error:
            _log.error("compaction failed, it will be tried again: %s", error)


def _tls(values: Values) -> ServerContext:
    certificate, key = values["tls-cert-file"], values["tls-private-key-file"]
    if not certificate or not key:
        raise UsageError("--tls-cert-file and --tls-private-key-file are needed")
    try:
        return ServerContext(Path(certificate), Path(key), [Path(path) for path in accessflags.authorities(values)])
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the files of --tls-cert-file, --tls-private-key-file, --client-ca-file or "
            f"--requestheader-client-ca-file cannot be used: {error}"
        ) from error


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)
