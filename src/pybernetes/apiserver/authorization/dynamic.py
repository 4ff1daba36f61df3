"""The authorizers of a configuration, which may follow its file (upstream: pkg/kubeapiserver/authorizer/{config,reload}.go).

Loaded where there is such a file, a webhook or a file of policies alone: other modes need none of it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.component.metrics import Registry

from ..configdocument import DocumentError
from ..configfollower import Follower
from ..configmetrics import ReloadMetrics
from ..generic.cache import WatchCache
from ..types import Authorizer, Reader
from . import configuration
from .abac import ABAC
from .configuration import WEBHOOK, AuthorizerConfiguration
from .metrics import AuthorizationMetrics
from .modes import Authorizers, Named, authorizer
from .options import AuthorizationOptions
from .rbac import RBAC
from .webhook import WebhookAuthorizer, webhook

WHAT = "authorization configuration"
GRACE_SECONDS = 60.0  # in which questions to former webhooks end


class DynamicAuthorizers(Authorizers):
    """Those of a configuration, which may follow its file. `start` and `close` around their use."""

    def __init__(
        self, options: AuthorizationOptions, cache: WatchCache, reader: Reader, clock: Clock, registry: Registry
    ) -> None:
        """ConfigError, ValueError for a webhook's kubeconfig that cannot be used."""
        self._metrics, self._clock = AuthorizationMetrics(registry), clock
        self._types = tuple(dict.fromkeys(one.type for one in options.authorizers if one.type != WEBHOOK))
        # Those of which there is one, as long as the server runs.
        self._fixed: dict[str, Authorizer] = {
            kind: ABAC(options.policies) if kind == "ABAC" else authorizer(kind, cache, reader) for kind in self._types
        }
        self._webhooks: list[WebhookAuthorizer] = []
        self._leaving: set[asyncio.Task[None]] = set()
        rbac = self._fixed.get("RBAC")
        chain = self._made(options.authorizers)
        super().__init__(
            chain, rbac if isinstance(rbac, RBAC) else None, "Node" in self._types, self._metrics.decisions
        )
        self._follower: Follower | None = None
        if options.path:
            metrics = ReloadMetrics(registry, "authorization", socket.gethostname())
            self._follower = Follower(options.path, WHAT, options.data, self._take, metrics, clock)

    async def start(self) -> None:
        """Follows the file."""
        if self._follower is not None:
            self._follower.start()

    async def close(self) -> None:
        """Ends what `start` began, and all connections."""
        if self._follower is not None:
            await self._follower.close()
        await end(*self._leaving)
        for one in self._webhooks:
            await one.close()

    def _made(self, given: Sequence[AuthorizerConfiguration]) -> list[Named]:
        chain, webhooks = [], []
        for one in given:
            if one.type == WEBHOOK:
                webhooks.append(webhook(one, self._metrics, self._clock))
                chain.append(Named(one.type, one.name, webhooks[-1]))
            else:
                chain.append(Named(one.type, one.name, self._fixed[one.type]))
        self._webhooks = webhooks
        return chain

    async def _take(self, data: bytes) -> None:
        """DocumentError."""
        given = configuration.parse(data, self._types)
        for one in given:
            if one.type != WEBHOOK and one.type not in self._fixed:
                raise DocumentError(
                    f"an authorizer of type {one.type} was not there at the start: that needs a restart"
                )
        before = self._webhooks
        try:
            chain = self._made(given)
        except (ValueError, OSError) as error:  # ConfigError is a ValueError
            raise DocumentError(str(error)) from error
        self.take(chain)
        task = asyncio.get_running_loop().create_task(self._leave(before))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _leave(self, before: Sequence[WebhookAuthorizer]) -> None:
        try:
            await self._clock.sleep(GRACE_SECONDS)
        finally:
            for one in before:
                await one.close()
