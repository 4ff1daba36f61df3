"""The running agent: informers in, the kernel's table out.

What is in the kernel outlives the process. While there is no policy in the cluster, pods are not even listened to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from pybernetes.aio.clock import Clock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import networking_v1 as networking
from pybernetes.client.informer import SharedInformer
from pybernetes.client.sliminformer import Kept, SlimListWatch
from pybernetes.client.types import Client, Identified, present
from pybernetes.net.programs import ProgramError

from .isolation import Isolation, Key
from .metrics import Metrics
from .pod import PolicyPod, policy_pod
from .policy import Policy, policy
from .table import TABLE

_log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0  # where nft refused; then doubling up to the sync period
SLOW_SECONDS = 5.0  # a round that takes longer says so
UNHEALTHY_PERIODS = 2  # as kube-proxy: a change that has waited for two sync periods


class Kernel(Protocol):
    """The one table in the kernel. `generation` is one higher after each transaction of whomever. ProgramError."""

    async def apply(self, text: str, /) -> None: ...

    async def listing(self) -> str | None: ...

    def generation(self) -> int: ...

    async def delete(self) -> None: ...

    def prepare(self) -> None: ...


class PolicyAgent:
    """`run` until cancelled."""

    def __init__(
        self, node: str, sync_period: float, client: Client, kernel: Kernel, metrics: Metrics, clock: Clock
    ) -> None:
        self._period, self._kernel, self._metrics, self._clock = sync_period, kernel, metrics, clock
        self._isolation = Isolation(node)
        self._changed = asyncio.Event()
        self._waiting_since: float | None = None  # by the monotonic clock: the oldest change that is no rule yet
        # The kernel's table as it was left, and the kernel's generation of then; None where we have changed it since.
        self._baseline: str | None = None
        self._generation: int | None = None
        self._whole = True  # whether the kernel's table is to be made anew
        self._absent = False  # whether there is surely none in the kernel
        self._policies = SharedInformer(SlimListWatch(client, networking.NetworkPolicy, policy), clock)
        self._namespaces = SharedInformer(SlimListWatch(client, core.Namespace, lambda n: n.metadata.labels), clock)
        self._pods = SharedInformer(SlimListWatch(client, core.Pod, policy_pod), clock)
        self._policies.add_handler(self._on_policy)
        self._namespaces.add_handler(self._on_namespace)
        self._pods.add_handler(self._on_pod)

    def problem(self) -> str:
        """For health: "" where rules keep up."""
        if not self._policies.synced:
            return "policies could not be listed yet"
        if self._waiting_since is None:
            return ""
        seconds = self._clock.monotonic() - self._waiting_since
        return f"a change has waited for {seconds:.0f} s" if seconds > UNHEALTHY_PERIODS * self._period else ""

    def _on_policy(self, old: Kept[Policy] | None, new: Kept[Policy] | None) -> None:
        for text in new.value.problems if new is not None else ():
            _log.error("networkpolicy %s/%s: %s", new.metadata.namespace, new.metadata.name, text)  # type: ignore[union-attr]
        self._isolation.set_policy(_key(present(old, new)), new.value if new is not None else None)
        self._touch()

    def _on_namespace(self, old: Kept[dict[str, str]] | None, new: Kept[dict[str, str]] | None) -> None:
        self._isolation.set_namespace(present(old, new).metadata.name, new.value if new is not None else None)
        self._touch()

    def _on_pod(self, old: Kept[PolicyPod | None] | None, new: Kept[PolicyPod | None] | None) -> None:
        self._isolation.set_pod(_key(present(old, new)), new.value if new is not None else None)
        self._touch()

    def _touch(self) -> None:
        if self._waiting_since is None:
            self._waiting_since = self._clock.monotonic()
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled; the table stays in the kernel."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._policies.run())
            await self._policies.wait_synced()
            await self._until_needed()
            for informer in (self._namespaces, self._pods):
                group.create_task(informer.run())
            # Not before all is known: what an earlier process left in the kernel holds until then.
            await self._namespaces.wait_synced()
            await self._pods.wait_synced()
            await self._keep()

    async def _until_needed(self) -> None:
        while not self._isolation.needed:
            self._changed.clear()
            if await self._tried(self._remove):
                await self._changed.wait()
            else:
                await self._clock.sleep(RETRY_SECONDS)

    async def _keep(self) -> None:
        retry = RETRY_SECONDS
        while True:
            self._changed.clear()
            if not await self._tried(self._sync):
                await self._clock.sleep(retry)
                retry = min(retry * 2, max(self._period, RETRY_SECONDS))
                continue
            retry = RETRY_SECONDS
            try:
                async with self._clock.timeout(self._period):
                    await self._changed.wait()
            except TimeoutError:
                await self._tried(self._verify)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether the kernel took it. A change that comes meanwhile waits for the next round."""
        since, self._waiting_since = self._waiting_since, None
        begin = self._clock.monotonic()
        try:
            await work()
        except ProgramError as error:
            self._waiting_since = begin if since is None else since
            self._whole = True  # the transaction's changes are forgotten
            self._metrics.failures.inc()
            _log.error("Failed to sync network policies, will try again: %s", error)
            return False
        seconds = self._clock.monotonic() - begin
        self._metrics.duration.observe(seconds)
        self._metrics.last.set(self._clock.now().timestamp())
        if seconds > SLOW_SECONDS:
            _log.warning("Syncing network policies took %.1f s", seconds)
        return True

    async def _sync(self) -> None:
        """One round: what has changed, or all."""
        self._metrics.policies.set(self._isolation.policies)
        self._metrics.isolated.set(self._isolation.isolated_pods)
        if not self._isolation.needed:
            await self._remove()
            return
        text = self._isolation.table.whole() if self._whole else self._isolation.table.transaction()
        if text:
            self._kernel.prepare()
            self._baseline, self._generation, self._absent = None, None, False
            await self._kernel.apply(text)
            self._whole = False

    async def _remove(self) -> None:
        """Without policies there is no table."""
        if not self._absent:
            await self._kernel.delete()
            self._baseline, self._generation, self._whole, self._absent = None, None, True, True

    async def _verify(self) -> None:
        """The table is as it was left; where that cannot be told it is written anew, in one step."""
        if not self._isolation.needed:
            return
        self._kernel.prepare()
        if self._generation is not None and self._kernel.generation() == self._generation:
            return
        if self._baseline is not None:
            generation = self._kernel.generation()
            if await self._kernel.listing() == self._baseline:
                self._generation = generation
                return
            _log.warning("The table %s was changed by somebody else; writing it anew", TABLE)
            self._metrics.restored.inc()
        self._baseline, self._generation = None, None
        before = self._kernel.generation()
        await self._kernel.apply(self._isolation.table.whole())
        listing = await self._kernel.listing()
        # What somebody did between our writing and our reading would pass for ours, for ever: then it is written once more, at the next look.
        if self._kernel.generation() == before + 1:
            self._baseline, self._generation = listing, before + 1


def _key(obj: Identified) -> Key:
    return obj.metadata.namespace, obj.metadata.name
