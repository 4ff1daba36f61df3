"""TLS contexts that follow their files: whoever connects next is met with what is on disk now, and no part ends for a new certificate.

Upstream: apiserver/pkg/server/dynamiccertificates, client-go/transport/cert_rotation.go.
"""

from __future__ import annotations

import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from . import servernames
from .files import Pair, write
from .reloading import Reloaded
from .servernames import NamedCertificate
from .tlspolicy import TLS_1_2, TLSPolicy


def trusting(bundle: str | None) -> ssl.SSLContext:
    """For clients: trusts what is in the bundle (PEM), the system's authorities without one, as Go does. ssl.SSLError.

    To Go everything in a bundle is a root, also an intermediate, or the server's own certificate, which is what envtest hands out for its
    webhooks; and it takes certificates that newer Pythons find too loose.
    """
    context = ssl.create_default_context(cadata=bundle)
    context.verify_flags = (context.verify_flags & ~ssl.VERIFY_X509_STRICT) | ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class ReloadingContext(ssl.SSLContext):
    """An SSLContext for servers and clients that is built anew when one of its files has changed.

    Handed to asyncio or uvloop as any other. Files are looked at as a connection begins (see `Reloaded`); connections that stand keep
    what they began with. Settings of this object itself are never used: `build` makes them all.
    """

    def __new__(cls, *_: Any, **__: Any) -> ReloadingContext:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def __init__(self, build: Callable[[], ssl.SSLContext], files: Sequence[Path]) -> None:
        """What `build` raises for the first time (OSError, ssl.SSLError) is the caller's."""
        self._reloaded = Reloaded(build, files)

    def current(self) -> ssl.SSLContext:
        """Of the files as they are now, or of the last ones that fitted."""
        return self._reloaded.current()

    @property
    def latest(self) -> ssl.SSLContext:
        """The last one that was built, without a look at the files."""
        return self._reloaded.latest

    def rebuild(self) -> None:
        """For what is in no file. Raises what `build` does, and then all stays as it was."""
        self._reloaded.rebuild()

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """As of SSLContext; this is what event loops call."""
        return self.current().wrap_bio(*arguments, **options)

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """As of SSLContext."""
        return self.current().wrap_socket(*arguments, **options)


class ServerContext(ReloadingContext):
    """TLS for a port, as `policy` has it. OSError or ssl.SSLError where a file cannot be used.

    Clients' certificates are asked for, and need not be shown, where there are authorities. `named` are further certificates, for clients
    that ask for one of their names (SNI).
    """

    def __init__(
        self,
        certificate: Path | Pair,
        key: Path | None = None,
        authorities: Sequence[Path] = (),
        awaited: bool = False,
        policy: TLSPolicy = TLS_1_2,
        named: Sequence[NamedCertificate] = (),
    ) -> None:
        """A pair in memory, or the files of certificate (chain) and key; without the second the first holds both.

        `awaited`: somebody will sign it yet. Until its file is there, every handshake fails.
        """
        self._certificate, self._key, self._authorities = certificate, key, authorities
        self._awaited, self._policy, self._named = awaited, policy, named
        self._trusted = ""
        files = [path for path in (certificate, key) if isinstance(path, Path)]
        files += [path for one in named for path in (one.certificate, one.key)]
        super().__init__(self._make, [*files, *authorities])

    def trust(self, authority: str) -> None:
        """From the next connection on, certificates of these authorities (PEM) are taken too. ssl.SSLError if they are none."""
        before, self._trusted = self._trusted, authority
        try:
            self.rebuild()
        except ssl.SSLError:
            self._trusted = before
            raise

    def _make(self) -> ssl.SSLContext:
        if self._awaited and isinstance(self._certificate, Path) and not self._certificate.exists():
            return self._policy.context()
        context = self._with(self._certificate, self._key)
        if self._named:
            contexts = servernames.by_name(
                [
                    (one.patterns, one.certificate.read_bytes(), self._with(one.certificate, one.key))
                    for one in self._named
                ]
            )

            def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
                chosen = servernames.match(contexts, name or "")
                if chosen is not None:
                    connection.context = chosen

            context.sni_callback = choose
        return context

    def _with(self, certificate: Path | Pair, key: Path | None) -> ssl.SSLContext:
        context = self._policy.context()
        if isinstance(certificate, Pair):
            load_pair(context, certificate)
        else:
            context.load_cert_chain(certificate, key)
        for authority in self._authorities:
            context.load_verify_locations(authority)
        if self._trusted:
            context.load_verify_locations(cadata=self._trusted)
        if self._authorities or self._trusted:
            context.verify_mode = ssl.CERT_OPTIONAL
        return context


def load_pair(context: ssl.SSLContext, pair: Pair) -> None:
    """A certificate and key from memory. ssl.SSLError. The ssl module takes files only: a private one for the blink of an eye."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pair.pem")
        write(path, pair.key.rstrip() + b"\n" + pair.certificate)
        context.load_cert_chain(path)
