"""`pybernetes kube-apiserver` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.pki.contexts import ServerContext

from . import accessflags, requestflags, serviceflags, storeflags

_log = logging.getLogger(__name__)

FLAGS = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on."),
    Flag("secure-port", flags.integer, 6443, "The port for HTTPS."),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM."),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM."),
    *storeflags.FLAGS,
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
        **storeflags.options(values),
    )
    store = await storeflags.opened(values)
    try:
        server = APIServer(store, options)
        try:
            await server.start()
        except OSError as error:
            where = f"--secure-port={values['secure-port']}"
            raise Failure(f"{error.strerror or error}: is {where} in use?") from error
        _log.info("serving securely on %s:%d", values["bind-address"], server.port)
        try:
            await asyncio.Event().wait()
        finally:
            await server.stop()
    finally:
        await store.close()


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
