"""kube-apiserver's flags, by what they are about, and what the server makes of them: a room each (upstream: pkg/controlplane/apiserver/options).

Each has `FLAGS` and reads its own in `options`: keywords of `server.Options`, or a record of their own. UsageError for what cannot be.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags, formerflags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.pki.contexts import ServerContext

from . import access, api, audit, encryption, requests, services, store

if TYPE_CHECKING:
    from ..server import Options

OWN = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on."),
    Flag("secure-port", flags.integer, 6443, "The port for HTTPS."),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM."),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM."),
    *store.FLAGS,
    *encryption.FLAGS,
    *audit.FLAGS,
    *access.FLAGS,
    *api.FLAGS,
    Flag("event-ttl", flags.duration, 3600.0, "How long events are kept after their last news."),
    *services.FLAGS,
    *requests.FLAGS,
    command.VERBOSITY,
)
FLAGS = formerflags.beside(OWN, formerflags.APISERVER)


def options(values: Values) -> Options:
    """What the server is told. UsageError."""
    from ..server import Options

    return Options(
        host=values["bind-address"],
        port=values["secure-port"],
        ssl_context=_tls(values),
        services=services.options(values),
        event_ttl=values["event-ttl"],
        **access.options(values),
        **api.options(values),
        **requests.options(values),
        **store.options(values),
        **audit.options(values),
    )


def _tls(values: Values) -> ServerContext:
    certificate, key = values["tls-cert-file"], values["tls-private-key-file"]
    if not certificate or not key:
        raise UsageError("--tls-cert-file and --tls-private-key-file are needed")
    try:
        return ServerContext(Path(certificate), Path(key), [Path(path) for path in access.authorities(values)])
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"the files of --tls-cert-file, --tls-private-key-file, --client-ca-file or "
            f"--requestheader-client-ca-file cannot be used: {error}"
        ) from error
