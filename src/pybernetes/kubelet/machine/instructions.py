"""What a pod's machine asks for: one record for each thing that is to be done; its outcome comes back as a stimulus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pybernetes.api.types import core_v1 as core

from ..runtime.types import Container, Sandbox
from .events import Event
from .stimuli import ProbeKind


@dataclass(frozen=True, slots=True)
class PrepareVolumes:
    pass


@dataclass(frozen=True, slots=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True, slots=True)
class ConnectSandbox:
    """Say which addresses it has, of which a kubelet before this one told nobody; give it some where it has none."""

    sandbox: Sandbox
    in_use: bool  # containers run in it: it stays even if nothing can be said


@dataclass(frozen=True, slots=True)
class EnsureImage:
    container: str


@dataclass(frozen=True, slots=True)
class StartContainer:
    """Make it, start it, run its postStart hook."""

    container: str
    attempt: int
    sandbox_id: str


@dataclass(frozen=True, slots=True)
class StopContainer:
    """Run its preStop hook, if any is to be run, wait for those that end before it, then stop it; all within the grace.

    A second one for the same container takes the place of the first.
    """

    container: Container
    grace: int
    hook: bool = True
    after: tuple[str, ...] = ()  # containers that end first


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The pod is over: a pull of the container's image ends without an outcome, its postStart hook as if it had succeeded."""

    container: str


@dataclass(frozen=True, slots=True)
class ResizeContainer:
    """Give a running container these limits, and the pod its own."""

    container: str
    container_id: str
    resources: core.ResourceRequirements


@dataclass(frozen=True, slots=True)
class StopSandbox:
    """Stop it, take its network and the pod's volumes down."""

    sandbox_id: str


@dataclass(frozen=True, slots=True)
class Probe:
    container: str
    container_id: str
    kind: ProbeKind


@dataclass(frozen=True, slots=True)
class Record:
    event: Event


@dataclass(frozen=True, slots=True)
class SetStatus:
    status: core.PodStatus


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Everything is gone from the node: the object may go."""


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send a Tick then; replaces an earlier wish."""

    when: datetime


Instruction = (
    PrepareVolumes
    | CreateSandbox
    | ConnectSandbox
    | EnsureImage
    | StartContainer
    | StopContainer
    | Interrupt
    | ResizeContainer
    | StopSandbox
    | Probe
    | Record
    | SetStatus
    | DeletePod
    | WakeAt
)
