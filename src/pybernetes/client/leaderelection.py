"""Leader election on a Lease (client-go/tools/leaderelection)."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from pybernetes.aio.clock import Clock, RealClock
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1, meta_v1

from .events import EventBroadcaster
from .types import Client

_log = logging.getLogger(__name__)

FIRST_CONTACT_SECONDS = 0.05  # parts start together: until the server has answered once it is asked often
# Of the retry period, for a candidate between two looks: who gives the lease up is followed before that period is over. (client-go
# waits for 1 to 2.2 of them, and so up to 4.4 s.)
CANDIDATE_PAUSE = (0.5, 0.75)
HEALTH_TOLERANCE = 20.0  # seconds after the lease's end until a leader that cannot renew counts as unhealthy


@dataclass(frozen=True, slots=True)
class Options:
    """Upstream's flags --leader-elect-*; times in seconds."""

    name: str
    identity: str
    namespace: str = "kube-system"
    lease_duration: float = 15.0
    renew_deadline: float = 10.0
    retry_period: float = 2.0


@dataclass(slots=True)
class Observed:
    """What this candidate last saw of the lease, and when by its own clock: others' clocks are not trusted."""

    record: tuple[str | None, str | None] = (None, None)  # holder, renewTime
    at: float = 0.0


def decide(
    lease: coordination_v1.Lease | None, observed: Observed, identity: str, duration: float, now: float
) -> Literal["create", "renew", "acquire", "wait"]:
    """What a candidate does about the lease it just read."""
    if lease is None:
        return "create"
    holder = lease.spec.holder_identity
    record = (holder, lease.spec.renew_time)
    if record != observed.record:
        observed.record, observed.at = record, now
    if holder == identity:
        return "renew"
    return "wait" if holder and observed.at + duration > now else "acquire"


class LeaderElector:
    """Runs `lead` while the lease is held; returns when it is lost (client-go's OnStoppedLeading)."""

    def __init__(self, client: Client, options: Options, clock: Clock | None = None) -> None:
        self._client, self._options = client, options
        self._clock: Clock = clock or RealClock()
        self._observed = Observed()
        self._lease = coordination_v1.Lease()
        self.is_leader = False
        self._answered = False  # whether the server ever did

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, leads, gives the lease up when cancelled; raises what `lead` raises."""
        first = FIRST_CONTACT_SECONDS
        while not await self._try(self._options.renew_deadline):
            if self._answered:
                await self._clock.sleep(self._pause(random.uniform(*CANDIDATE_PAUSE)))
            else:
                if first == self._options.retry_period:
                    _log.warning("waiting for an answer of the API server")
                await self._clock.sleep(first)
                first = min(first * 1.5, self._options.retry_period)
        self.is_leader = True
        _log.info("successfully acquired lease %s/%s", self._options.namespace, self._options.name)
        events = EventBroadcaster(self._client, self._clock)
        self._tell(events, "became leader")
        telling = asyncio.ensure_future(events.run())
        work = asyncio.ensure_future(lead())
        renewal = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            self.is_leader = False
            for task in (work, renewal, telling):
                task.cancel()
            await asyncio.gather(work, renewal, telling, return_exceptions=True)
            await self._release()

    def _tell(self, events: EventBroadcaster, what: str) -> None:
        """An event about the lease."""
        text = f"{self._options.identity} {what}"
        events.recorder(self._options.name).normal(self._lease, "LeaderElection", text)

    def problem(self) -> str:
        """What is wrong for a health check: a leader that neither renews its lease nor stops (HealthzAdaptor); "" if nothing."""
        silent = self._clock.monotonic() - self._observed.at - self._options.lease_duration
        if not self.is_leader or silent <= HEALTH_TOLERANCE:
            return ""
        return f"failed election to renew leadership on lease {self._options.name}"

    def _pause(self, share: float) -> float:
        """Until a candidate looks again: a share of the retry period, or at the moment at which the lease it has seen ends."""
        pause = self._options.retry_period * share
        left = self._observed.at + self._options.lease_duration - self._clock.monotonic()
        return min(pause, left) if left > 0 else pause

    async def _renew(self) -> None:
        """Returns when the lease could not be renewed for the renew deadline."""
        last = self._clock.monotonic()
        while True:
            await self._clock.sleep(self._options.retry_period)
            left = last + self._options.renew_deadline - self._clock.monotonic()
            if left <= 0:
                break
            # No longer: others take an unrenewed lease soon after the deadline.
            if await self._try(left):
                last = self._clock.monotonic()
        _log.error(
            "failed to renew lease %s/%s: timed out waiting for the condition",
            self._options.namespace,
            self._options.name,
        )

    async def _try(self, seconds: float) -> bool:
        options = self._options
        try:
            async with self._clock.timeout(seconds):
                held = await self._acquire_or_renew()
            self._answered = True
            return held
        except (StatusError, ConnectionError, TimeoutError) as error:
            self._answered = self._answered or isinstance(error, StatusError)
            level = logging.WARNING if self._answered else logging.DEBUG
            _log.log(level, "lease %s/%s could not be read or written: %s", options.namespace, options.name, error)
            return False

    async def _acquire_or_renew(self) -> bool:
        options = self._options
        try:
            lease = await self._client.get(coordination_v1.Lease, options.name, options.namespace)
        except StatusError as error:
            if error.code != 404:
                raise
            lease = None
        decision = decide(lease, self._observed, options.identity, options.lease_duration, self._clock.monotonic())
        if decision == "wait":
            return False
        moment = format_micro_time(self._clock.now())
        if lease is None:
            meta = meta_v1.ObjectMeta(name=options.name, namespace=options.namespace)
            lease = coordination_v1.Lease(metadata=meta)
        if decision != "renew":
            lease.spec.lease_transitions = (lease.spec.lease_transitions or 0) + (decision == "acquire")
            lease.spec.acquire_time = moment
        lease.spec.holder_identity = options.identity
        lease.spec.lease_duration_seconds = int(options.lease_duration)
        lease.spec.renew_time = moment
        try:
            lease = await (self._client.create(lease) if decision == "create" else self._client.update(lease))
        except StatusError as error:
            if error.code == 409:  # another candidate was faster
                return False
            raise
        self._observed, self._lease = Observed((options.identity, moment), self._clock.monotonic()), lease
        return True

    async def _release(self) -> None:
        """Lets the next one take over at once (ReleaseOnCancel)."""
        options = self._options
        try:
            async with self._clock.timeout(options.renew_deadline):
                await self._give_up()
        except (StatusError, ConnectionError, TimeoutError) as error:
            _log.warning("lease %s/%s could not be released: %s", options.namespace, options.name, error)

    async def _give_up(self) -> None:
        options = self._options
        lease = await self._client.get(coordination_v1.Lease, options.name, options.namespace)
        if lease.spec.holder_identity == options.identity:
            lease.spec.holder_identity = ""
            lease.spec.lease_duration_seconds = 1
            lease.spec.renew_time = format_micro_time(self._clock.now())
            await self._client.update(lease)
