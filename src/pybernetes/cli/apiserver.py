"""`pybernetes kube-apiserver` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import flags, logs
from pybernetes.component.flags import Flag, FlagError, HelpAsked, Values
from pybernetes.store.types import Compacted, Store, StoreError

if TYPE_CHECKING:
    from pybernetes.apiserver.types import Authenticator

_log = logging.getLogger(__name__)

COMPACTION_SECONDS = 300.0  # upstream's --etcd-compaction-interval: so long a watch can go back

FLAGS = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on."),
    Flag("secure-port", flags.integer, 6443, "The port for HTTPS."),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM."),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM."),
    Flag(
        "client-ca-file",
        flags.string,
        "",
        "Who shows a certificate signed by one of these is its CN, in the groups of its O.",
    ),
    Flag("token-auth-file", flags.string, "", 'Static tokens: lines of token,user,uid,"group1,group2".'),
    Flag(
        "anonymous-auth",
        flags.boolean,
        False,
        "Whether requests without credentials are let through as system:anonymous.",
    ),
    Flag("authorization-mode", flags.strings, ["AlwaysAllow"], "Only AlwaysAllow is there yet."),
    Flag("enable-admission-plugins", flags.strings, [], "Plug-ins besides those that are on by default."),
    Flag("disable-admission-plugins", flags.strings, [], "Plug-ins to switch off."),
    Flag("store", flags.string, "memory:", "sqlite:PATH or memory: (pybernetes' own flag)."),
    Flag(
        "etcd-compaction-interval",
        flags.duration,
        COMPACTION_SECONDS,
        "How often what watches no longer need is dropped; 0: never.",
    ),
    Flag("v", flags.integer, 0, "Verbosity of the log."),
)
PROGRAM = "pybernetes kube-apiserver"


class UsageError(Exception):
    """One line for the user."""


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    try:
        values = flags.parse(PROGRAM, FLAGS, arguments)
        logs.setup(values["v"])
        import uvloop

        uvloop.run(_run(values))
    except HelpAsked as asked:
        print(asked)
    except (FlagError, UsageError, StoreError) as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1 if isinstance(error, StoreError) else 2
    except OSError as error:
        print(
            f"{PROGRAM}: {error.strerror or error}: is --secure-port={values['secure-port']} in use?", file=sys.stderr
        )
        return 1
    return 0


async def _run(values: Values) -> None:
    from pybernetes.apiserver.server import ADMISSION, APIServer, Options

    plugins = [*Options.enable_admission_plugins, "ServiceAccount", *values["enable-admission-plugins"]]
    chosen = [p for p in plugins if p not in values["disable-admission-plugins"]]
    unknown = [p for p in (*chosen, *values["disable-admission-plugins"]) if p not in ADMISSION]
    if unknown:
        raise UsageError(f"--enable-admission-plugins: {unknown[0]!r} is not known; there are {', '.join(ADMISSION)}")
    if values["authorization-mode"] != ["AlwaysAllow"]:
        raise UsageError(
            f"--authorization-mode={','.join(values['authorization-mode'])} is not there yet: only AlwaysAllow is"
        )
    options = Options(
        host=values["bind-address"],
        port=values["secure-port"],
        ssl_context=_tls(values),
        authenticators=_authenticators(values),
        anonymous=values["anonymous-auth"],
        enable_admission_plugins=tuple(chosen),
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store = await _store(values["store"])
    try:
        server = APIServer(store, options)
        await server.start()
        _log.info("serving securely on %s:%d", values["bind-address"], server.port)
        compaction = asyncio.ensure_future(_compact(store, values["etcd-compaction-interval"]))
        await stop.wait()
        compaction.cancel()
        await server.stop()
    finally:
        await store.close()


async def _store(text: str) -> Store:
    from pybernetes.store.sqlite import SQLiteStore

    kind, _, place = text.partition(":")
    if kind == "memory" and not place:
        return await SQLiteStore.open(":memory:")
    if kind == "sqlite" and place:
        Path(place).parent.mkdir(parents=True, exist_ok=True)
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


def _tls(values: Values) -> ssl.SSLContext:
    certificate, key = values["tls-cert-file"], values["tls-private-key-file"]
    if not certificate or not key:
        raise UsageError("--tls-cert-file and --tls-private-key-file are needed")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
        if values["client-ca-file"]:
            context.load_verify_locations(values["client-ca-file"])
            context.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the files of --tls-cert-file, --tls-private-key-file, --client-ca-file cannot be used: {error}"
        ) from error
    return context


def _authenticators(values: Values) -> list[Authenticator]:
    """In upstream's order."""
    from pybernetes.apiserver import tokenfile
    from pybernetes.apiserver.x509 import ClientCertificate

    chain: list[Authenticator] = []
    if values["client-ca-file"]:
        chain.append(ClientCertificate(lambda: datetime.now(UTC)))
    if values["token-auth-file"]:
        try:
            chain.append(tokenfile.TokenFile(tokenfile.read(Path(values["token-auth-file"]))))
        except tokenfile.TokenFileError as error:
            raise UsageError(f"--token-auth-file: {error}") from error
    if values["anonymous-auth"]:
        raise UsageError(
            "--anonymous-auth is not allowed with --authorization-mode=AlwaysAllow: everyone could do everything"
        )
    if not chain:
        raise UsageError("nobody could log in: give --client-ca-file or --token-auth-file")
    return chain
