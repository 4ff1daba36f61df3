"""Registers the node, renews its lease and writes its status (upstream: kubelet_node_status.go, component-helpers lease)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.conditions import is_true
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client

from ..machine import node as n
from ..machine.events import normal
from ..recorder import Recorder

logger = logging.getLogger(__name__)

LEASE_RENEW_SECONDS = 10.0
STATUS_REPORT_SECONDS = 300.0
HEARTBEAT_SECONDS = 10.0  # upstream's time-out of the client for lease and status
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 7.0  # of the registration, doubling as upstream's

R = TypeVar("R")
Facts = Callable[[], Awaitable[n.NodeFacts]]


class NodeKeeper:
    """`facts` is asked at every check; a status that differs from the Node's is written at once, another every five minutes."""

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        facts: Facts,
        clock: Clock,
        now: Callable[[], datetime],
        check_seconds: float = 10.0,
    ) -> None:
        """`check_seconds`: --node-status-update-frequency."""
        self._check_seconds = check_seconds
        self._client, self._recorder, self._facts, self._clock, self._now = client, recorder, facts, clock, now
        self._lease: coordination_v1.Lease | None = None
        self._reported = float("-inf")
        self._wanted = asyncio.Event()
        self.node = core.Node()

    async def register(self) -> core.Node:
        """Creates the Node, or takes over the one that is there; tries until the server answers."""
        facts = await self._facts()
        delay = FIRST_RETRY_SECONDS
        while True:
            try:
                self.node = await self._register(facts)
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning('Unable to register node with API server: node "%s": %s', facts.name, error)
                await self._clock.sleep(delay)
                delay = min(delay * 2, MAX_RETRY_SECONDS)
                continue
            for reason in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID"):
                self._recorder.record(self.node, normal(reason, f"Node {facts.name} status is now: {reason}"))
            return self.node

    async def _register(self, facts: n.NodeFacts) -> core.Node:
        try:
            return await self._client.create(n.new_node(facts, self._now()))
        except StatusError as error:
            if error.code != 409:
                raise
        present = await self._client.get(core.Node, facts.name)
        wanted = {**present.metadata.labels, **n.labels(facts)}
        if wanted != present.metadata.labels:
            present = await self._client.update(
                msgspec.structs.replace(present, metadata=msgspec.structs.replace(present.metadata, labels=wanted))
            )
        return await self._write(present, facts)

    async def _write(self, present: core.Node, facts: n.NodeFacts) -> core.Node:
        status = n.node_status(facts, present.status, self._now())
        return await self._client.update(msgspec.structs.replace(present, status=status), "status")

    async def reread(self) -> None:
        """Takes up what others have written into the Node: its podCIDR."""
        if not self.node.metadata.name:
            return
        try:
            self.node = await self._client.get(core.Node, self.node.metadata.name)
        except (ConnectionError, TimeoutError, StatusError) as error:
            logger.warning("reading node %s: %s", self.node.metadata.name, error)

    def check_soon(self) -> None:
        """Something has changed that the status tells of."""
        self._wanted.set()

    async def keep_status(self) -> None:
        """Checks every so often and when told to, until cancelled."""
        while True:
            try:
                await self._check()
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning("Error updating node status, will retry: %s", error)
            await self._pause()

    async def _pause(self) -> None:
        waits = [
            asyncio.ensure_future(self._clock.sleep(self._check_seconds)),
            asyncio.ensure_future(self._wanted.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        self._wanted.clear()

    async def _check(self) -> None:
        """Compares with the Node, not with the last report: others write into it, as the node lifecycle controller's Unknown."""
        facts = await self._facts()
        self.node = present = await self._in_time(self._client.get(core.Node, facts.name))
        elapsed = self._clock.monotonic() - self._reported
        if elapsed < STATUS_REPORT_SECONDS and not n.has_changed(
            present.status, n.node_status(facts, present.status, self._now())
        ):
            return
        was_ready = is_true(present.status.conditions, "Ready")
        self.node = await self._in_time(self._write(present, facts))
        self._reported = self._clock.monotonic()
        if was_ready == bool(facts.problems):
            reason = "NodeNotReady" if facts.problems else "NodeReady"
            self._recorder.record(self.node, normal(reason, f"Node {facts.name} status is now: {reason}"))

    async def _in_time(self, answer: Awaitable[R]) -> R:
        """A heartbeat that takes longer is worth less than the next one."""
        try:
            async with self._clock.timeout(HEARTBEAT_SECONDS):
                return await answer
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {HEARTBEAT_SECONDS:g} s") from error

    async def keep_lease(self) -> None:
        """Renews every ten seconds, until cancelled."""
        while True:
            try:
                await self._in_time(self._renew())
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning("Failed to update lease: %s", error)
                self._lease = None
            await self._clock.sleep(LEASE_RENEW_SECONDS)

    async def _renew(self) -> None:
        name = self.node.metadata.name
        if self._lease is None:
            try:
                self._lease = await self._client.get(coordination_v1.Lease, name, n.LEASE_NAMESPACE)
            except StatusError as error:
                if error.code != 404:
                    raise
                self._lease = await self._client.create(n.new_lease(self.node, self._now()))
                return
        spec = msgspec.structs.replace(
            self._lease.spec, holder_identity=name, renew_time=format_micro_time(self._now())
        )
        self._lease = await self._client.update(msgspec.structs.replace(self._lease, spec=spec))
