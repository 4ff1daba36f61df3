"""kube-apiserver's flags, by what they are about, and what the server makes of them: a room each (upstream: pkg/controlplane/apiserver/options).

Each has `FLAGS` and reads its own in `options`: keywords of `server.Options`, or a record of their own. UsageError for what cannot be.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes.component import command, flags, formerflags, servingcert, tlsflags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.pki import servernames
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.servernames import NamedCertificate

from . import access, api, audit, encryption, requests, services, store, workers

if TYPE_CHECKING:
    from ..server import Options, ShutdownOptions

PAIR_NAME = "apiserver"  # of the files in --cert-dir
# What pods call the server, in a certificate that it makes itself (upstream: pkg/controlplane/apiserver/options).
SERVICE_NAMES = ("kubernetes.default.svc", "kubernetes.default", "kubernetes")


def certificate(text: str) -> list[NamedCertificate]:
    """One of --tls-sni-cert-key."""
    return [servernames.parse(text)]


OWN = (
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on."),
    Flag("secure-port", flags.integer, 6443, "The port for HTTPS."),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM; that of --cert-dir if not given."),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM."),
    Flag(
        "cert-dir",
        flags.string,
        "/var/run/kubernetes",
        "Where apiserver.crt and apiserver.key are taken from, and made where they are missing, without --tls-cert-file.",
    ),
    *tlsflags.tls_flags(),
    Flag(
        "tls-sni-cert-key",
        certificate,
        [],
        "CERTIFICATE,KEY[:NAME,*.NAME]: for clients that ask for one of these names, or of the certificate's own; may be given "
        "several times.",
    ),
    Flag("shutdown-delay-duration", flags.duration, 0.0, "How long /readyz fails before the server begins to end."),
    Flag(
        "shutdown-send-retry-after",
        flags.boolean,
        False,
        "Answer 429 while requests under way end, instead of closing the port at once.",
    ),
    Flag(
        "shutdown-watch-termination-grace-period",
        flags.duration,
        0.0,
        "In which watches end, one after the other; 0: all at once.",
    ),
    *store.FLAGS,
    *encryption.FLAGS,
    *audit.FLAGS,
    *access.FLAGS,
    *api.FLAGS,
    Flag("event-ttl", flags.duration, 3600.0, "How long events are kept after their last news."),
    *services.FLAGS,
    *requests.FLAGS,
    *workers.FLAGS,
    command.VERBOSITY,
)
FLAGS = formerflags.beside(OWN, formerflags.APISERVER)


def options(values: Values) -> Options:
    """What the server is told. UsageError."""
    from ..server import Options

    processes = workers.count(values)
    chosen = Options(
        host=values["bind-address"],
        port=values["secure-port"],
        ssl_context=_tls(values),
        services=services.options(values),
        event_ttl=values["event-ttl"],
        shutdown=_shutdown(values),
        **access.options(values),
        **api.options(values),
        **requests.options(values),
        **store.options(values),
        **audit.options(values),
    )
    workers.shared(chosen, processes)
    return chosen


def _tls(values: Values) -> ServerContext:
    certificate, key = _serving_pair(values)
    policy = tlsflags.policy(values)
    authorities = [Path(path) for path in access.authorities(values)]
    try:
        return ServerContext(certificate, key, authorities, policy=policy, named=values["tls-sni-cert-key"])
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(
            f"the files of --tls-cert-file, --tls-private-key-file, --tls-sni-cert-key, --client-ca-file or "
            f"--requestheader-client-ca-file cannot be used: {error}"
        ) from error


def _serving_pair(values: Values) -> tuple[Path, Path]:
    """The files of --tls-cert-file, or those of --cert-dir. UsageError."""
    certificate, key = values["tls-cert-file"], values["tls-private-key-file"]
    if certificate and key:
        return Path(certificate), Path(key)
    folder = values["cert-dir"]
    if certificate or key or not folder:
        raise UsageError("--tls-cert-file and --tls-private-key-file are needed together, or --cert-dir alone")
    chosen = services.options(values)
    addresses = {"127.0.0.1", chosen.advertise, str(chosen.networks[0][1])} - {""}
    try:
        return servingcert.stored(folder, PAIR_NAME, sorted(addresses), datetime.now(UTC), SERVICE_NAMES)
    except OSError as error:
        raise UsageError(
            f"--cert-dir={folder}: {error.strerror}: choose another, or give --tls-cert-file and --tls-private-key-file"
        ) from error


def _shutdown(values: Values) -> ShutdownOptions:
    from ..server import ShutdownOptions

    for name in ("shutdown-delay-duration", "shutdown-watch-termination-grace-period"):
        if values[name] < 0:
            raise UsageError(f"--{name} can not be negative value")
    return ShutdownOptions(
        delay=values["shutdown-delay-duration"],
        send_retry_after=values["shutdown-send-retry-after"],
        watches=values["shutdown-watch-termination-grace-period"],
    )
