"""The hollow nodes of a test cluster: kubelets in its process, one port for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock
from pybernetes.aio.ending import end
from pybernetes.client.informer import InformerFactory
from pybernetes.client.rest import RESTClient
from pybernetes.component.delegated import DelegatedGuard, certificate_user
from pybernetes.kubelet.app import Kubelet
from pybernetes.kubelet.hollownodes import hollow_kubelets
from pybernetes.kubelet.runtime.hollow import HollowRuntime
from pybernetes.kubelet.server.hollow import HollowServer
from pybernetes.pki.contexts import ServerContext

from .scripts import Scripts

if TYPE_CHECKING:
    from pybernetes.wire.http import Server


class HollowNodes:
    """hollow-0, hollow-1, ...; pods on them do what `scripts` says."""

    def __init__(self, client: RESTClient, clock: Clock, count: int, scripts: Scripts | None) -> None:
        self.names = [f"hollow-{number}" for number in range(count)]
        self._client, self._clock, self._scripts = client, clock, scripts or Scripts()
        self._kubelets: list[Kubelet] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._server: Server | None = None

    async def start(self, context: ServerContext) -> list[asyncio.Task[None]]:
        """What runs from here on. OSError."""
        client, clock = self._client, self._clock
        guard = DelegatedGuard(client, clock.monotonic, certificate_user(clock.now))
        self._server = await HollowServer(self._kubelets, guard, clock.now, clock.now()).start("127.0.0.1", 0, context)
        informers = InformerFactory(client, clock)
        self._kubelets += hollow_kubelets(
            client,
            informers,
            self.names,
            clock=clock,
            port=self._server.port,
            seen=self._scripts.seen,
            handlers=self._scripts.handlers,
        )
        named = zip(self.names, self._kubelets, strict=True)
        self._tasks = {name: asyncio.ensure_future(kubelet.run()) for name, kubelet in named}
        return [*self._tasks.values(), asyncio.ensure_future(informers.run())]

    async def kill(self, name: str) -> None:
        """It ends as if its power had gone: nothing is said, its lease runs out. KeyError if it does not run."""
        task = self._tasks.pop(name)
        self._kubelets[:] = [one for one in self._kubelets if one.options.hostname_override != name]
        await end(task)

    def end(self, uid: str, container: str, exit_code: int, reason: str) -> int:
        """Ends the running containers of a pod, or the one that is named; how many."""
        ended = 0
        for kubelet in self._kubelets:
            runtime = kubelet.runtime
            assert isinstance(runtime, HollowRuntime), "hollow nodes have no other"
            for one in list(runtime.containers.values()):
                if one.pod_uid == uid and container in ("", one.name) and one.state == "running":
                    runtime.end(one.id, exit_code, reason)
                    ended += 1
        return ended

    async def stop(self) -> None:
        """Nobody is answered any more."""
        if self._server is not None:
            await self._server.stop(0)
