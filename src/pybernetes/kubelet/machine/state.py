"""What a pod's machine remembers, and the questions that its parts ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from pybernetes.api.pods import is_finished, is_sidecar
from pybernetes.api.times import shifted
from pybernetes.api.types import core_v1 as core

from ..runtime.types import Sandbox
from .containers import BackOff, Slot, as_container
from .defaults import CRASH_MAXIMUM
from .events import Event
from .instructions import Instruction, Record
from .restarts import restarts_by_policy

# Between tries of what is needed before containers; doubling, so that many pods that lack something leave the API time for others.
SETUP_RETRY, MAX_SETUP_RETRY = 2.0, 16.0


class PodState:
    """One pod on this node."""

    def __init__(
        self,
        pod: core.Pod,
        host_ips: Sequence[str],
        runtime_name: str,
        rejected: tuple[str, str] | None = None,
        crash_maximum: float = CRASH_MAXIMUM,
    ) -> None:
        """`rejected`: reason and message with which the node refused it; nothing of it ever begins.

        `crash_maximum`: the most seconds between two runs of a container that crashes.
        """
        self.pod = pod
        self.host_ips = tuple(host_ips)
        self.runtime_name = runtime_name
        self.slots: dict[str, Slot] = {}
        for spec in pod.spec.init_containers:
            self.slots[spec.name] = Slot(spec, init=True, crash=BackOff(crash_maximum))
        for spec in pod.spec.containers:
            self.slots[spec.name] = Slot(spec, crash=BackOff(crash_maximum))
        self.sandbox: Sandbox | None = None
        self.ips: tuple[str, ...] = tuple(ip.ip for ip in pod.status.pod_ips)
        self.attempts = 0
        self.start_time = pod.status.start_time
        self.volumes: Literal["", "busy", "ready"] = ""
        self.sandbox_step: Literal["", "create", "connect", "stop", "stopped"] = ""
        self.retry_at: datetime | None = None
        self.setup_failures = 0  # in a row
        self.failed: tuple[str, str] | None = rejected
        self.rejected = rejected is not None
        self.resize_pending: tuple[str, str] | None = None  # why the node does not grant what is asked for
        self.resize_error = ""
        self.resize_at: datetime | None = None  # when a resize that failed is tried again
        self.restarting_all = False  # a container's rule asked for it: all end, then all begin again
        self.grace_limit: int | None = None  # seconds that its containers have at most to stop
        self.disrupted = False  # the node ended it for its own sake
        self.gone = False
        self.observed = False
        self.out: list[Instruction] = []
        self.add_ephemeral()

    def add_ephemeral(self) -> None:
        """Ephemeral containers come while the pod runs; they are never taken away."""
        for given in self.pod.spec.ephemeral_containers:
            if given.name not in self.slots:
                spec = as_container(given)
                self.slots[given.name] = Slot(spec, ephemeral=True, target=given.target_container_name)

    # What callers may ask.

    @property
    def terminating(self) -> bool:
        return self.pod.metadata.deletion_timestamp is not None or self.failed is not None

    @property
    def volumes_ready(self) -> bool:
        """Its volumes are made, and not yet being taken down."""
        return self.volumes == "ready"

    @property
    def creates_sandbox(self) -> bool:
        """A sandbox is being made, of which nobody knows the id yet, or is given its network."""
        return self.sandbox_step in ("create", "connect")

    @property
    def mains(self) -> list[Slot]:
        return [slot for slot in self.slots.values() if not slot.init and not slot.ephemeral]

    @property
    def finished(self) -> bool:
        """No container will run again."""
        if self.terminating or is_finished(self.pod):
            return True
        inits = (slot for slot in self.slots.values() if slot.init and not slot.done and not is_sidecar(slot.spec))
        if any(self.ended_for_good(slot) for slot in inits):
            return True
        return bool(self.mains) and all(self.ended_for_good(slot) for slot in self.mains)

    def restarts(self, slot: Slot) -> bool:
        """Whether an exited container is to run again (ShouldContainerBeRestarted)."""
        if slot.current is None or slot.current.state != "exited":
            return True
        if self.terminating or slot.done or slot.ephemeral:
            return False
        if slot.again or self.restarting_all:
            return True
        return restarts_by_policy(slot.spec, self.pod.spec.restart_policy, slot.current.exit_code, slot.init)

    def ended_for_good(self, slot: Slot) -> bool:
        return slot.exited and not slot.step and not self.restarts(slot)

    @property
    def mains_ran(self) -> bool:
        return any(slot.current is not None and not slot.again for slot in self.mains)

    @property
    def busy(self) -> bool:
        """A container runs, or something is being done for one."""
        return any(slot.running or slot.step for slot in self.slots.values())

    @property
    def terminated(self) -> bool:
        """Nothing runs, nothing is left to stop, nothing will start: its object alone may change (upstream: SyncTerminatedPod)."""
        return self.sandbox_step == "stopped" and self.sandbox is None and not self.busy and self.finished

    @property
    def deadline(self) -> datetime | None:
        seconds = self.pod.spec.active_deadline_seconds
        return None if seconds is None or self.start_time is None else shifted(self.start_time, seconds)

    # What its parts do to it.

    def record(self, event: Event) -> None:
        self.out.append(Record(event))

    def retry_later(self, now: datetime, event: Event) -> None:
        """What is needed before the containers has failed."""
        seconds = min(SETUP_RETRY * 2**self.setup_failures, MAX_SETUP_RETRY)
        self.setup_failures = min(self.setup_failures + 1, 8)
        self.retry_at = now + timedelta(seconds=seconds)
        self.record(event)
