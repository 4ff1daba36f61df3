"""Registers the node, renews its lease and writes its status (upstream: kubelet_node_status.go, component-helpers lease)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.aio.wakeup import Wakeup
from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.api.types import coordination_v1
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client

from ..machine import node as n
from ..machine.events import normal, warning
from ..recorder import Recorder

logger = logging.getLogger(__name__)

LEASE_RENEWALS = 4  # in the time that a lease lasts
STATUS_REPORT_SECONDS = 300.0
# Between two checks: somebody who writes over the status again and again does not get an echo each time.
CHECK_FLOOR_SECONDS = 0.2
HEARTBEAT_SECONDS = 10.0  # upstream's time-out of the client for lease and status
FIRST_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.1, 7.0  # of the registration, doubling as upstream's

R = TypeVar("R")
Facts = Callable[[], Awaitable[n.NodeFacts]]


# The events of a condition that is (not) true.
CONDITION_EVENTS = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}


def transitions(old: core.NodeStatus, new: core.NodeStatus) -> list[str]:
    """The reasons of the events that tell of changed conditions."""
    before = {condition.type: condition.status for condition in old.conditions}
    changed = [(c.type, c.status) for c in new.conditions if before.get(c.type) != c.status]
    return [CONDITION_EVENTS[change] for change in changed if change in CONDITION_EVENTS]


class NodeKeeper:
    """`facts` is asked at every check, and the status compared with the Node's, which `on_node` keeps as the API has it.

    What differs is written at once, as a patch, so that what others have written beside it stays; the same is written every
    five minutes.
    """

    def __init__(
        self,
        client: Client,
        recorder: Recorder,
        facts: Facts,
        clock: Clock,
        now: Callable[[], datetime],
        check_seconds: float = 10.0,
        reset_extended: bool = False,
        lease_seconds: int = n.LEASE_SECONDS,
    ) -> None:
        """`check_seconds`: --node-status-update-frequency. `lease_seconds`: nodeLeaseDurationSeconds.

        `reset_extended`: extended resources of a Node that is there already begin at 0, until somebody offers them again.
        """
        self._check_seconds, self._reset_extended = check_seconds, reset_extended
        self._client, self._recorder, self._facts, self._clock, self._now = client, recorder, facts, clock, now
        self._lease: coordination_v1.Lease | None = None
        self._lease_seconds = lease_seconds
        self._reported = float("-inf")
        self._compared: tuple[object, ...] = ()  # the facts and the Node's version that were found to agree
        self._seen_facts: n.NodeFacts | None = None
        self._unschedulable = False
        self._check_asked = Wakeup(clock)
        self.node = core.Node()

    @property
    def registered(self) -> bool:
        """Whether `node` is the API's."""
        return bool(self.node.metadata.name)

    def on_node(self, old: core.Node | None, new: core.Node | None) -> None:
        """A watch's handler: the Node as the API has it now. One that was deleted stays as it last was."""
        if new is None or not self.registered:
            return
        self.node = new
        facts = self._seen_facts
        if facts is not None and n.status_changed(new.status, n.node_status(facts, new.status, self._now())):
            self.check_soon()

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
        self._tell_reboot(present, facts.machine.boot_id)
        outdated = n.metadata_patch(facts, present.metadata)
        if outdated:
            present = await self._client.patch(core.Node, facts.name, "", outdated, type="strategic")
        status = n.zeroed_extended(present.status) if self._reset_extended else present.status
        return await self._write(present, n.node_status(facts, status, self._now()))

    def _tell_reboot(self, present: core.Node, boot_id: str) -> None:
        before = present.status.node_info.boot_id
        if before and boot_id and before != boot_id:
            text = f"Node {present.metadata.name} has been rebooted, boot id: {boot_id}"
            self._recorder.record(present, warning("Rebooted", text))

    async def _write(self, present: core.Node, status: core.NodeStatus) -> core.Node:
        patch = n.status_patch(present.status, status)
        return await self._client.patch(
            core.Node, present.metadata.name, "", patch, type="strategic", subresource="status"
        )

    async def reread(self) -> None:
        """Takes up what others have written into the Node; where the server does not answer it stays as it was."""
        if not self.registered:
            return
        try:
            self.node = await self._client.get(core.Node, self.node.metadata.name)
        except (ConnectionError, TimeoutError, StatusError) as error:
            logger.warning("reading node %s: %s", self.node.metadata.name, error)

    def check_soon(self) -> None:
        """Something has changed that the status tells of."""
        self._check_asked.set()

    async def keep_status(self) -> None:
        """Checks every so often and when told to, until cancelled."""
        while True:
            try:
                await self._check()
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning("Error updating node status, will retry: %s", error)
            await self._pause()

    async def _pause(self) -> None:
        floor = self._clock.monotonic() + CHECK_FLOOR_SECONDS
        if await self._check_asked.wait(self._check_seconds):
            await self._clock.sleep(floor - self._clock.monotonic())
            self._check_asked.clear()

    async def _check(self) -> None:
        facts = self._seen_facts = await self._facts()
        now = self._clock.monotonic()
        due = now - self._reported >= STATUS_REPORT_SECONDS
        agreeing = (facts, self.node.metadata.resource_version)
        if agreeing == self._compared and not due:
            return
        self._tell_schedulable()
        present = self.node
        status = n.node_status(facts, present.status, self._now())
        if due or n.status_changed(present.status, status):
            self.node = await self._in_time(self._write(present, status))
            self._reported = now
            for reason in transitions(present.status, self.node.status):
                self._recorder.record(self.node, normal(reason, f"Node {facts.name} status is now: {reason}"))
        self._compared = (facts, self.node.metadata.resource_version)

    def _tell_schedulable(self) -> None:
        if self.node.spec.unschedulable != self._unschedulable:
            self._unschedulable = self.node.spec.unschedulable
            reason = "NodeNotSchedulable" if self._unschedulable else "NodeSchedulable"
            name = self.node.metadata.name
            self._recorder.record(self.node, normal(reason, f"Node {name} status is now: {reason}"))

    async def _in_time(self, answer: Awaitable[R]) -> R:
        """A heartbeat that takes longer is worth less than the next one."""
        try:
            async with self._clock.timeout(HEARTBEAT_SECONDS):
                return await answer
        except TimeoutError as error:
            raise TimeoutError(f"no answer within {HEARTBEAT_SECONDS:g} s") from error

    async def keep_lease(self) -> None:
        """Renews, every ten seconds where nothing else is said, until cancelled."""
        while True:
            try:
                await self._in_time(self._renew())
            except (ConnectionError, TimeoutError, StatusError) as error:
                logger.warning("Failed to update lease: %s", error)
                self._lease = None
            await self._clock.sleep(self._lease_seconds / LEASE_RENEWALS)

    async def _renew(self) -> None:
        name = self.node.metadata.name
        if self._lease is None:
            try:
                self._lease = await self._client.get(coordination_v1.Lease, name, n.LEASE_NAMESPACE)
            except StatusError as error:
                if error.code != 404:
                    raise
                self._lease = await self._client.create(n.new_lease(self.node, self._now(), self._lease_seconds))
                return
        spec = msgspec.structs.replace(
            self._lease.spec,
            holder_identity=name,
            lease_duration_seconds=self._lease_seconds,
            renew_time=format_micro_time(self._now()),
        )
        self._lease = await self._client.update(msgspec.structs.replace(self._lease, spec=spec))
