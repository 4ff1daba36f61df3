"""The issuers of a configuration, which may follow its file (upstream: pkg/kubeapiserver/authenticator/config.go, server's reload)."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.component.metrics import Registry

from ...configdocument import DocumentError
from ...configfollower import Follower
from ...configmetrics import ReloadMetrics
from .. import configuration
from ..configuration import AuthenticationConfiguration
from ..user import User
from . import idtoken
from .authenticator import OIDCAuthenticator
from .metrics import OIDCMetrics

_log = logging.getLogger(__name__)

WHAT = "authentication configuration"
UPDATE_SECONDS = 60.0  # in which new issuers must answer (upstream: updateAuthenticationConfigTimeout)
GRACE_SECONDS = 60.0  # for which former ones end what is under way


@dataclass(frozen=True, kw_only=True)
class JWTOptions:
    """Of --authentication-config, or of the flags --oidc-*: then `path` is "", and nothing is followed."""

    configuration: AuthenticationConfiguration
    algorithms: Sequence[str]
    path: str = ""
    data: bytes = b""  # what the file held
    disallowed: Collection[str] = ()  # issuers that are the server's own


class JWTAuthenticators:
    """See `bearer.TokenAuthenticator`. `start` before it is asked, `close` at the end."""

    def __init__(self, options: JWTOptions, registry: Registry, clock: Clock) -> None:
        self._options, self._clock = options, clock
        self._metrics = OIDCMetrics(registry, socket.gethostname())
        self._current = self._made(options.configuration)
        self._leaving: set[asyncio.Task[None]] = set()
        self._follower: Follower | None = None
        if options.path:
            metrics = ReloadMetrics(registry, "authentication", socket.gethostname())
            self._follower = Follower(options.path, WHAT, options.data, self._take, metrics, clock)

    async def token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """None for what is no token of any of the issuers."""
        current = self._current
        if not current:
            return None
        read = idtoken.read(token)
        if read is None:
            return None
        authenticator = current.get(idtoken.issuer_of(read[1]))
        return await authenticator.authenticate(*read) if authenticator is not None else None

    def start(self) -> None:
        """Looks for the issuers in the background, and follows the file."""
        for one in self._current.values():
            one.start()
        if self._follower is not None:
            self._follower.start()

    async def close(self) -> None:
        """Ends what `start` began."""
        if self._follower is not None:
            await self._follower.close()
        await end(*self._leaving)
        for one in self._current.values():
            await one.close()

    def _made(self, given: AuthenticationConfiguration) -> dict[str, OIDCAuthenticator]:
        options = self._options
        return {one.issuer: OIDCAuthenticator(one, options.algorithms, self._metrics, self._clock) for one in given.jwt}

    async def _take(self, data: bytes) -> None:
        """The new issuers take over as soon as all of them were reached. DocumentError."""
        given = configuration.parse(data, self._options.disallowed)
        if given.anonymous != self._options.configuration.anonymous:
            _log.warning("`anonymous` of the %s changed: that needs a restart", WHAT)
        issuers = self._made(given)
        for one in issuers.values():
            one.start()
        try:
            async with self._clock.timeout(UPDATE_SECONDS):
                await asyncio.gather(*(one.ready.wait() for one in issuers.values()))
        except TimeoutError:
            problems = [one.problem for one in issuers.values() if one.problem]
            await asyncio.gather(*(one.close() for one in issuers.values()))
            raise DocumentError("; ".join(problems)) from None
        except BaseException:
            await asyncio.gather(*(one.close() for one in issuers.values()))
            raise
        before, self._current = self._current, issuers
        task = asyncio.get_running_loop().create_task(self._leave(before))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, before: dict[str, OIDCAuthenticator]) -> None:
        try:
            await self._clock.sleep(GRACE_SECONDS)
        finally:
            for issuer, one in before.items():
                await one.close()
                if issuer not in self._current:
                    self._metrics.forget(issuer)
