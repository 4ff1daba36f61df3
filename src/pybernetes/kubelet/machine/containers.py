"""What a pod's machine remembers of each container of the spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pybernetes.api.types import core_v1 as core

from ..runtime.types import Container
from .defaults import CRASH_MAXIMUM
from .stimuli import ProbeKind

BACK_OFF_INITIAL = 10.0
PULL_MAXIMUM = 300.0
BACK_OFF_RESET = 600.0  # upstream forgets a container's crashes after it was quiet for twice the maximum


@dataclass(slots=True)
class BackOff:
    """A doubling delay."""

    maximum: float = CRASH_MAXIMUM
    delay: float = 0.0
    last: datetime | None = None

    def next(self, now: datetime) -> float:
        """The seconds to wait this time."""
        quiet = self.last is not None and (now - self.last).total_seconds() > BACK_OFF_RESET
        doubled = BACK_OFF_INITIAL if quiet or not self.delay else self.delay * 2
        self.delay = min(doubled, self.maximum)
        self.last = now
        return self.delay


@dataclass(slots=True)
class ProbeState:
    spec: core.Probe
    next_at: datetime
    in_flight: bool = False
    failures: int = 0
    successes: int = 0


@dataclass(slots=True)
class Slot:
    """One container of the spec."""

    spec: core.Container
    init: bool = False
    ephemeral: bool = False  # for debugging: runs once, counts for nothing
    target: str = ""  # the container whose processes an ephemeral one sees
    current: Container | None = None
    previous: Container | None = None
    step: Literal["", "image", "start", "stop", "resize"] = ""
    applied: core.ResourceRequirements | None = None  # what the present run has
    image_ready: bool = False
    waiting: tuple[str, str] | None = None
    crash: BackOff = field(default_factory=BackOff)
    pull: BackOff = field(default_factory=lambda: BackOff(PULL_MAXIMUM))
    not_before: datetime | None = None
    interrupted: bool = False  # what is being done to start it was told to end
    stop_by: datetime | None = None  # when the grace of a container that is being stopped is over
    back_off_at: datetime | None = None  # when the wait for not_before is shown as a back-off
    probes: dict[ProbeKind, ProbeState] = field(default_factory=dict)
    started: bool = False
    ready: bool = False
    done: bool = False  # an init container that succeeded
    again: bool = False  # to be started once more whatever its policy says: all of the pod's containers are
    backed_off_for: str = ""  # the run whose BackOff event was recorded

    @property
    def path(self) -> str:
        kind = "initContainers" if self.init else ("ephemeralContainers" if self.ephemeral else "containers")
        return f"spec.{kind}{{{self.spec.name}}}"

    @property
    def running(self) -> bool:
        return self.current is not None and self.current.state == "running"

    @property
    def exited(self) -> bool:
        return self.current is not None and self.current.state == "exited"

    @property
    def outgrown(self) -> bool:
        """It runs with other resources than it was granted."""
        return self.running and self.applied is not None and self.applied != self.spec.resources

    def forget_probes(self) -> None:
        self.probes, self.started, self.ready = {}, False, False

    def begin_probes(self, now: datetime) -> None:
        """Of a run that has just begun; without a startup probe it counts as started at once."""
        self.forget_probes()
        since = now if self.current is None else self.current.started_at or now
        kinds: tuple[tuple[ProbeKind, core.Probe | None], ...] = (
            ("startup", self.spec.startup_probe),
            ("liveness", self.spec.liveness_probe),
            ("readiness", self.spec.readiness_probe),
        )
        for kind, probe in kinds:
            if probe is not None:
                self.probes[kind] = ProbeState(probe, since + timedelta(seconds=probe.initial_delay_seconds))
        self.started = "startup" not in self.probes
        self.ready = self.started and "readiness" not in self.probes


def as_container(given: core.EphemeralContainer) -> core.Container:
    """An ephemeral container as the others: it has all their fields."""
    return core.Container(**{name: getattr(given, name) for name in core.Container.__struct_fields__})
