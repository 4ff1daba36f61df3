"""The port of a part by its flags: --secure-port with delegated credentials, --port without (upstream: apiserver/pkg/server/options).

Who asks is a client certificate of --client-ca-file, or of the CA that the API server publishes, or a token that it reviews.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from . import flags
from .command import Failure, UsageError, read_file
from .flags import Flag, Values
from .tlsflags import policy, tls_flags

if TYPE_CHECKING:
    from pybernetes.client.leaderelection import LeaderElector
    from pybernetes.pki.contexts import ServerContext

    from .clientflags import Clients
    from .delegated import Guard
    from .frontproxy import PublishedIdentities
    from .metrics import Registry
    from .restclient import PartClient
    from .serving import Extension

_log = logging.getLogger(__name__)

LOOKUP_SECONDS = 10.0  # between tries to read the CA of clients
FOLLOW_SECONDS = 60.0  # between looks whether it is another; upstream watches
DRAIN_SECONDS = 1.0  # for requests to the ports when the part ends
SERVING, WHO, MAY = "Secure serving", "Authentication", "Authorization"


def serving_flags(port: int, proxied: bool = False) -> tuple[Flag, ...]:
    """`port` is the default of --secure-port; `proxied`: of a part that serves an extension of the API."""
    proxies = "front proxies are those that the cluster publishes" if proxied else "front proxies are not trusted"
    return (
        Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on with --secure-port.", SERVING),
        Flag("secure-port", flags.integer, port, "The port for HTTPS; 0: none.", SERVING),
        Flag("address", flags.string, "127.0.0.1", "The address to listen on with --port.", SERVING),
        Flag("port", flags.integer, 0, "A port without TLS and credentials, as upstream once had; 0: none.", SERVING),
        Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM; made at the start if not given.", SERVING),
        Flag("tls-private-key-file", flags.string, "", "Its key, PEM.", SERVING),
        *tls_flags(SERVING),
        Flag("cert-dir", flags.string, "", "Where a certificate made at the start is kept; empty: in memory.", SERVING),
        Flag("authentication-kubeconfig", flags.string, "", "Who asks for reviews of tokens.", WHO),
        Flag("authentication-skip-lookup", flags.boolean, False, "Do not read the cluster's CA of clients.", WHO),
        Flag("client-ca-file", flags.string, "", "Who shows a certificate signed by one of these is its CN.", WHO),
        Flag("authorization-kubeconfig", flags.string, "", "Who asks what a user may.", MAY),
        flags.ignored("authentication-tolerate-lookup-failure", flags.boolean, "it starts without, and tries again"),
        flags.ignored("requestheader-client-ca-file", flags.string, proxies),
    )  # fmt: skip


async def serve(
    stack: AsyncExitStack,
    values: Values,
    clients: Clients,
    registry: Registry,
    elector: LeaderElector | None,
    extension: Extension | None = None,
) -> None:
    """Opens the ports with health and metrics; they close with the stack. An extension is behind --secure-port alone.

    UsageError for files of no use, Failure where a port is in use.
    """
    from . import serving, servingcert

    routes = serving.standard(registry, {"leaderElection": elector.problem} if elector is not None else {})
    try:
        if values["secure-port"]:
            pair = values["tls-cert-file"], values["tls-private-key-file"]
            own = ["127.0.0.1", "::1"]
            read_file(values, "client-ca-file")  # which is told by its flag where it cannot be read
            clients_ca = [Path(values["client-ca-file"])] if values["client-ca-file"] else []
            now = datetime.now(UTC)
            context = servingcert.context(*pair, values["cert-dir"], clients.name, own, now, clients_ca, policy(values))
            guard = _guard(stack, values, context, clients, extension is not None)
            behind = routes if extension is None else {**routes, **extension.routes}
            ask = extension.ask if extension is not None else None
            server = await serving.start(behind, values["bind-address"], values["secure-port"], context, guard, ask)
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
        if values["port"]:
            server = await serving.start(routes, values["address"], values["port"])
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
    except ssl.SSLError as error:
        files = "--tls-cert-file, --tls-private-key-file, --client-ca-file"
        raise UsageError(f"{files} cannot be used: {error}") from error
    except OSError as error:
        ports = f"--secure-port={values['secure-port']} or --port={values['port']}"
        raise Failure(f"{error.strerror or error}: is {ports} in use?") from error


def _guard(
    stack: AsyncExitStack, values: Values, context: ServerContext, clients: Clients, proxied: bool = False
) -> Guard:
    from pybernetes.pki.bundles import AuthorityFile

    from .delegated import DelegatedGuard, certificate_user
    from .frontproxy import ProxiedGuard, PublishedIdentities

    reviews = clients.unlimited(flag="authentication-kubeconfig")
    identities = PublishedIdentities() if proxied else None
    if (proxied or not values["client-ca-file"]) and not values["authentication-skip-lookup"]:
        lookup = asyncio.ensure_future(_look_up(reviews, context, identities))
        stack.callback(lookup.cancel)
    try:
        issued = identities.issued if identities is not None else None
        issued = AuthorityFile(Path(values["client-ca-file"])).issued if values["client-ca-file"] else issued
    except ValueError as error:
        raise UsageError(f"--client-ca-file={values['client-ca-file']}: {error}") from error
    guard: Guard = DelegatedGuard(reviews, time.monotonic, certificate_user(lambda: datetime.now(UTC), issued))
    if values["authorization-kubeconfig"] not in ("", values["authentication-kubeconfig"]):
        guard = _Split(guard, DelegatedGuard(clients.unlimited(flag="authorization-kubeconfig"), time.monotonic))
    return ProxiedGuard(identities, guard) if identities is not None else guard


class _Split:
    """Two files, two clients."""

    def __init__(self, who: Guard, may: Guard) -> None:
        self.authenticate, self.authorize = who.authenticate, may.authorize


async def _look_up(client: PartClient, context: ServerContext, identities: PublishedIdentities | None) -> None:
    """Takes the CA that the API server publishes of its --client-ca-file, as soon as it can be read, and follows it.

    With `identities` its front proxies, too. Where it is not published, certificates are not taken. The part may well be up before
    the API server is.
    """
    from pybernetes.api.errors import StatusError
    from pybernetes.api.types import core_v1

    trusted = ""
    while True:
        try:
            config_map = await client.get(core_v1.ConfigMap, "extension-apiserver-authentication", "kube-system")
        except (StatusError, ConnectionError, TimeoutError) as error:
            if isinstance(error, StatusError) and error.code == 404 and identities is None:
                _log.info("certificates are not taken on the secure port: %s", error)
                return
            _log.warning("the CA of clients cannot be read, it will be tried again: %s", error)
            await asyncio.sleep(LOOKUP_SECONDS)
            continue
        try:
            authority = (
                identities.read(config_map.data)
                if identities is not None
                else config_map.data.get("client-ca-file", "")
            )
            if authority and authority != trusted:
                trusted = authority
                context.trust(authority)
        except (ssl.SSLError, ValueError) as error:
            _log.warning("the CA of clients that is published cannot be used: %s", error)
        await asyncio.sleep(FOLLOW_SECONDS)
