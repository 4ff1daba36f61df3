"""What a pod's machine is told: one record for each thing that may happen to a pod."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pybernetes.api.types import core_v1 as core

from ..runtime.types import Container, Sandbox
from .events import Event

IMMEDIATELY = 1  # seconds of grace: the node needs at once what the pod has (immediateEvictionGracePeriodSeconds)
ProbeKind = Literal["startup", "liveness", "readiness"]


@dataclass(frozen=True, slots=True)
class SpecChanged:
    """`pending`: reason and message why the node does not grant the resources that are asked for; `pod` has those that it has."""

    pod: core.Pod
    pending: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What the runtime has of this pod now."""

    sandboxes: Sequence[Sandbox]
    containers: Sequence[Container]


@dataclass(frozen=True, slots=True)
class VolumesReady:
    pass


@dataclass(frozen=True, slots=True)
class VolumesFailed:
    message: str
    reason: str = "FailedMount"  # the event's


@dataclass(frozen=True, slots=True)
class SandboxReady:
    sandbox: Sandbox
    ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SandboxFailed:
    message: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something that changes nothing but is to be told of, such as lines that a resolver takes no more of."""

    event: Event


@dataclass(frozen=True, slots=True)
class Pulling:
    """The image is not there, or is to be asked for anew: the container's, or that of a volume of its."""

    container: str
    image: str


@dataclass(frozen=True, slots=True)
class ImageReady:
    """`message` is the event's text."""

    container: str
    message: str


@dataclass(frozen=True, slots=True)
class ImageFailed:
    """`reason` is the waiting reason: ErrImagePull, ErrImageNeverPull, InvalidImageName, ImageInspectError; `text` the event's."""

    container: str
    reason: str
    message: str
    text: str = ""  # the message where it is the same


@dataclass(frozen=True, slots=True)
class ContainerMade:
    """It is created or, later, started, but its hook still runs."""

    container: str
    started: bool


@dataclass(frozen=True, slots=True)
class ContainerRuns:
    container: Container


@dataclass(frozen=True, slots=True)
class ContainerFailed:
    """It could not be made (CreateContainerConfigError, CreateContainerError), started (RunContainerError) or its hook failed."""

    container: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class HookFailed:
    """A container that fails its PostStart is stopped for it; one that fails its PreStop is being stopped anyway.

    What the hook said may be secret: it is for the node's log alone.
    """

    container: str
    hook: Literal["PostStart", "PreStop"]


@dataclass(frozen=True, slots=True)
class Resized:
    """`error`: why it could not be done, "" where it was."""

    container: str
    container_id: str
    resources: core.ResourceRequirements
    error: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    container: Container


@dataclass(frozen=True, slots=True)
class TeardownFailed:
    """Sandbox, network or volumes could not be taken down; it is tried again."""

    message: str


@dataclass(frozen=True, slots=True)
class SandboxStopped:
    pass


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """`ok` None: the probe itself failed, which tells nothing of the container. A message beside a True `ok` is a warning."""

    container_id: str
    kind: ProbeKind
    ok: bool | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Evicted:
    """The node wants the pod away; `reason` and `message` go into its status. `grace`: seconds that its containers have to stop."""

    reason: str
    message: str
    grace: int = IMMEDIATELY


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed."""


OfContainer = (
    Pulling | ImageReady | ImageFailed | ContainerMade | ContainerRuns | ContainerFailed | HookFailed | Stopped
)
Stimulus = (
    SpecChanged
    | Observed
    | VolumesReady
    | VolumesFailed
    | SandboxReady
    | SandboxFailed
    | Noticed
    | Pulling
    | ImageReady
    | ImageFailed
    | ContainerMade
    | ContainerRuns
    | ContainerFailed
    | HookFailed
    | Stopped
    | TeardownFailed
    | Resized
    | SandboxStopped
    | ProbeResult
    | Evicted
    | Tick
)
