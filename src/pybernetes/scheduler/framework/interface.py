"""What a plug-in is (upstream: kube-scheduler/framework/interface.go).

A plug-in says how far its answers hold, so that the framework works them out as seldom as it may:
- NODES: they depend on the pod's shape and the nodes' objects alone,
- ROW: also on the pods of the row that is asked about,
- CLUSTER: on anything; asked anew for every pod.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pybernetes.api.types import apps_v1 as apps
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import policy_v1 as policy
from pybernetes.api.types import storage_v1 as storage
from pybernetes.client.types import Lister

from ..model.arrays import Bools, Ints
from ..model.pods import PodInfo
from ..model.selectors import Labels
from ..model.table import NodeTable, Rows
from .clusterevents import Event, Hint

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .permits import WaitingPods

MAX_SCORE = 100


class Depends(Enum):
    """How long an answer of a plug-in may be kept: until nodes change, until the row's pods do, or for this cycle alone."""

    NODES = 1
    ROW = 2
    CLUSTER = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a node does not take a pod. `unresolvable`: removing pods from the node would not help."""

    reasons: tuple[str, ...]
    unresolvable: bool = False


@dataclass(slots=True)
class Cluster:
    """What there is besides nodes and pods; an absent lister is an empty one."""

    namespaces: Lister[core.Namespace]
    services: Lister[core.Service]
    replication_controllers: Lister[core.ReplicationController]
    replica_sets: Lister[apps.ReplicaSet]
    stateful_sets: Lister[apps.StatefulSet]
    claims: Lister[core.PersistentVolumeClaim]
    volumes: Lister[core.PersistentVolume]
    storage_classes: Lister[storage.StorageClass]
    csi_nodes: Lister[storage.CSINode]
    disruption_budgets: Lister[policy.PodDisruptionBudget]

    def namespace_labels(self, name: str) -> Labels:
        """{} for a namespace that is not known."""
        namespace = self.namespaces.get(name)
        labels: Labels = namespace.metadata.labels if namespace is not None else {}
        return labels


@dataclass(slots=True)
class Cycle:
    """One pod's way through the plug-ins; `state` is theirs, by plug-in name."""

    info: PodInfo
    table: NodeTable
    cluster: Cluster
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PreFilter:
    """`verdict`: no node at all takes the pod. `names`: no others than these."""

    verdict: Verdict | None = None
    names: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Handle:
    """What plug-ins are made with, besides their arguments."""

    table: NodeTable
    cluster: Cluster
    waiting: WaitingPods  # pods that `permit` holds back: a plug-in may allow or reject them at any time


@dataclass(frozen=True, slots=True)
class Update:
    """An object to be written as it is here; a conflict means that the pod must be tried anew."""

    obj: Any


Pick = Callable[[int], int]  # of so many equal nodes, which (upstream: a random one)
Nominated = Mapping[str, Sequence[PodInfo]]  # pods that wait for room on a node, by its name


class Judge(Protocol):
    """What a plug-in may ask when it looks for room: would the pod fit, were some pods gone?"""

    table: NodeTable

    def refusal(self, info: PodInfo, row: int, beside: Sequence[PodInfo] = ()) -> tuple[str, Verdict] | None:
        """The plug-in that refuses the pod on a row, and why; also with those counted that wait for room there."""
        ...


@dataclass(frozen=True, slots=True)
class Failure:
    """A pod that no node takes, for `post_filter`."""

    info: PodInfo
    diagnosis: Diagnosis
    nominated: Nominated
    judge: Judge
    pick: Pick


@dataclass(frozen=True, slots=True)
class Nomination:
    """A node that would take the pod once the victims are gone, the most important of them first."""

    node: str
    victims: tuple[PodInfo, ...]
    violations: int = 0  # of disruption budgets


@dataclass(frozen=True, slots=True)
class NoNomination:
    """Why there is none, for the event; `hopeless`: the pod waits in vain for a node that it was promised."""

    text: str
    hopeless: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """The pod must not be bound before the plug-in allows it; rejected after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """A pod that gives its node back; `text` is the event's."""

    plugin: str
    text: str


SortKey = tuple[Any, ...]


class Plugin:
    """Methods that a plug-in does not define are not called; rows are `table.all` or an array of row numbers."""

    name: ClassVar[str]
    weight: ClassVar[int] = 0  # of its score where the configuration gives none
    filters: ClassVar[Depends | None] = None
    scores: ClassVar[Depends | None] = None
    normalizes: ClassVar[bool] = False
    verdict: ClassVar[Verdict] = Verdict(())  # where it is the same for all nodes
    events: Mapping[Event, Hint | None] = {}  # what may help a pod that it refused; a hint looks closer

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        self.arguments, self.handle = arguments, handle

    def pre_enqueue(self, info: PodInfo) -> Verdict | None:
        """Why the pod must not be tried yet."""
        return None

    def sort_key(self, info: PodInfo, since: float) -> SortKey:
        """QueueSort's Less as a key, since a heap compares often: smaller goes first; `since` is when the pod came, in seconds.

        Every key of a profile must compare with every other one; equal keys keep the order in which they came.
        """
        return (since,)

    def pre_filter(self, cycle: Cycle) -> PreFilter | None:
        """Looks at the pod once, before the nodes."""
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        """Which of the rows take the pod; None: it does not care."""
        return None

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        """Why rows that `filter` refused are refused; each row once."""
        return [(self.verdict, rows)]

    def post_filter(self, failure: Failure) -> Nomination | NoNomination | None:
        """Makes room for a pod that no node takes. The first plug-in that nominates a node has the word; None: nothing to say."""
        return None

    def pre_score(self, cycle: Cycle) -> bool:
        """Whether `score` has anything to say of the pod; asked only where that depends on the cluster."""
        return True

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        """Scores of rows that take the pod; None: it does not care. Without `normalizes` between 0 and MAX_SCORE."""
        return None

    def normalize(self, cycle: Cycle, scores: Ints) -> Ints:
        """Scores of all rows that take the pod, brought between 0 and MAX_SCORE."""
        return scores

    def reserve(self, info: PodInfo, node: str) -> Sequence[Update]:
        """The pod goes to the node: what must be written, and seen (`waits`), before it is bound."""
        return ()

    def permit(self, info: PodInfo, node: str) -> Wait | str | None:
        """Asked once the pod has its node, before it is bound: None: go on; a text: why it may not; Wait: not yet."""
        return None

    def waits(self, info: PodInfo) -> bool:
        """Whether what `reserve` began is not there yet."""
        return False

    def release(self, info: PodInfo) -> None:
        """The pod is bound, or will not be: what was reserved is the cluster's word now, or nobody's."""


def default_normalize(scores: Ints, reverse: bool) -> Ints:
    """The highest becomes MAX_SCORE; reversed, the lowest is best (helper.DefaultNormalizeScore)."""
    highest = int(scores.max()) if len(scores) else 0
    if highest == 0:
        return scores + MAX_SCORE if reverse else scores
    scaled: Ints = MAX_SCORE * scores // highest
    return MAX_SCORE - scaled if reverse else scaled
