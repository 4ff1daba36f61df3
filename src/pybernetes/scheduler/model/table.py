"""The nodes as columns, with what their pods take (upstream: pkg/scheduler/backend/cache, framework.NodeInfo).

A row belongs to a node as long as the node is there; free rows are not `present` and fit nothing. Columns are as long as the table's
capacity: index them with `table.all` (every row that was ever used) or with an array of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pybernetes.api.computeresources import CPU, EPHEMERAL_STORAGE, MEMORY
from pybernetes.api.types import core_v1 as core

from .arrays import Bools, Ints, np
from .labelcolumns import SPARE_VALUES, LabelColumn, LabelColumns
from .podcounts import PodCounts
from .pods import PodInfo
from .requests import amounts

if TYPE_CHECKING:
    import numpy.typing as npt

C = TypeVar("C", bound="np.generic")
Rows = slice | Ints


class Taint(NamedTuple):
    """A taint that can be compared and hashed."""

    key: str
    value: str
    effect: str


FIRST_ROWS = 16
ALWAYS = (CPU, MEMORY, EPHEMERAL_STORAGE)  # resources that have columns in any case
LOG_FACTOR = 4  # the log of changed rows is dropped when it is so many times as long as the table


@dataclass(slots=True)
class Place:
    """Where a pod counts: its row, and the state of it that was counted there."""

    info: PodInfo
    row: int


class NodeTable:
    """Nodes and the pods on them. A pod whose node is not known (yet) is kept aside until the node comes."""

    def __init__(self) -> None:
        self.capacity = FIRST_ROWS
        self.used = 0  # rows that were ever used
        self.names: list[str] = []
        self.nodes: list[core.Node | None] = []
        self.labels: list[Mapping[str, str] | None] = []
        self.pods: list[dict[str, PodInfo]] = []
        self.rows: dict[str, int] = {}
        self._free: list[int] = []
        self._places: dict[str, Place] = {}
        self._homeless: dict[str, dict[str, PodInfo]] = {}  # by the node's name, by uid
        self._waits_for: dict[str, str] = {}  # uid of a homeless pod -> its node's name
        self.present: Bools = np.zeros(self.capacity, np.bool_)
        self.unschedulable: Bools = np.zeros(self.capacity, np.bool_)
        self.taints: Ints = np.zeros(self.capacity, np.int64)
        self.taint_sets: dict[tuple[Taint, ...], int] = {(): 0}
        self.allocatable: dict[str, Ints] = {}
        self.requested: dict[str, Ints] = {}
        self._askers: dict[str, int] = {}  # pods by the resources that they ask for
        for name in ALWAYS:
            self._add_resource(name)
        self.nonzero: dict[str, Ints] = {name: np.zeros(self.capacity, np.int64) for name in (CPU, MEMORY)}
        self.pod_count: Ints = np.zeros(self.capacity, np.int64)
        self.pods_allowed: Ints = np.zeros(self.capacity, np.int64)
        self.images: dict[str, dict[int, int]] = {}  # image name -> row -> bytes
        self.ports: dict[tuple[str, int], dict[int, dict[str, int]]] = {}  # (protocol, port) -> row -> address -> pods
        self.claims: dict[tuple[str, str], dict[str, int]] = {}  # claim -> uid of a pod that uses it -> row
        self.columns = LabelColumns()
        self.columns.grow(self.capacity)
        self.counts = PodCounts()
        self.counts.grow(self.capacity)
        self.structure = 0  # raised by everything but pods: what was worked out from nodes alone holds while it stays
        self._log: list[int] = []
        self._log_start = 0

    # What the plug-ins ask.

    @property
    def all(self) -> slice:
        """Every row, free ones included."""
        return slice(0, self.used)

    def __len__(self) -> int:
        return len(self.rows)

    def column(self, key: str) -> LabelColumn:
        """The column of a label of the nodes."""
        return self.columns.column(key, self.labels)

    def resource(self, columns: Mapping[str, Ints], name: str, rows: Rows) -> Ints:
        """A column of `allocatable` or `requested`; zeros for a resource that no node has."""
        column = columns.get(name)
        return column[rows] if column is not None else np.zeros(len(self.present[rows]), np.int64)

    @property
    def version(self) -> int:
        """Grows with each change of a row's pods; `changed_since` takes it."""
        return self._log_start + len(self._log)

    def changed_since(self, version: int) -> list[int] | None:
        """Rows whose pods have changed (some more than once); None where that is not known any more."""
        return self._log[version - self._log_start :] if version >= self._log_start else None

    def place(self, uid: str) -> Place | None:
        """Where a pod counts."""
        return self._places.get(uid)

    def pod_total(self) -> int:
        """Pods that count somewhere."""
        return len(self._places)

    # Nodes.

    def set_node(self, node: core.Node) -> bool:
        """Adds a node or takes its new state; False where nothing changed that placement depends on."""
        name = node.metadata.name
        row = self.rows.get(name)
        old = self.nodes[row] if row is not None else None
        if row is not None and old is not None and _same(old, node):
            self.nodes[row] = node
            return False
        if row is None:
            row = self._take_row(name)
        self._drop_images(row, old)
        self._fill(row, node)
        self.structure += 1
        for info in self._homeless.pop(name, {}).values():
            del self._waits_for[info.uid]
            self._count(info, row, 1)
        return True

    def remove_node(self, name: str) -> None:
        """Its pods are kept aside: they may be told of later than the node."""
        row = self.rows.pop(name, None)
        if row is None:
            return
        for info in list(self.pods[row].values()):
            self._count(info, row, -1)
            self._keep_aside(info, name)
        self._drop_images(row, self.nodes[row])
        self.nodes[row], self.labels[row] = None, None
        self.present[row] = False
        self.pods_allowed[row] = 0
        for column in self.allocatable.values():
            column[row] = 0
        self._drop_resources(list(self.allocatable))
        self.columns.update(row, None, {})
        self._free.append(row)
        self.structure += 1

    def _take_row(self, name: str) -> int:
        if self._free:
            row = self._free.pop()
            self.names[row] = name
        else:
            row = self.used
            if row == self.capacity:
                self._grow()
            self.used += 1
            self.names.append(name)
            self.nodes.append(None)
            self.labels.append(None)
            self.pods.append({})
        self.rows[name] = row
        self.present[row] = True
        return row

    def _fill(self, row: int, node: core.Node) -> None:
        self.nodes[row] = node
        self.labels[row] = node.metadata.labels
        self.columns.update(row, node.metadata.name, node.metadata.labels)
        self.unschedulable[row] = node.spec.unschedulable
        taints = tuple(Taint(t.key, t.value, t.effect) for t in node.spec.taints)
        self.taints[row] = self.taint_sets.setdefault(taints, len(self.taint_sets))
        if len(self.taint_sets) > SPARE_VALUES * self.capacity:
            self._forget_taints()
        allocatable = amounts(node.status.allocatable)
        self.pods_allowed[row] = allocatable.pop("pods", 0)
        for name in allocatable:
            self._add_resource(name)
        for name, column in self.allocatable.items():
            column[row] = allocatable.get(name, 0)
        self._drop_resources([name for name in self.allocatable if name not in allocatable])
        for image in node.status.images:
            for image_name in image.names:
                self.images.setdefault(image_name, {})[row] = image.size_bytes

    def _forget_taints(self) -> None:
        """Sets that no node has any more go; the empty one stays the first."""
        sets, former = list(self.taint_sets), self.taints.copy()
        self.taint_sets = {(): 0}
        for number in np.unique(former[self.present]):
            self.taints[former == number] = self.taint_sets.setdefault(sets[number], len(self.taint_sets))
        self.taints[~self.present] = 0

    def _drop_images(self, row: int, node: core.Node | None) -> None:
        for image in node.status.images if node is not None else ():
            for name in image.names:
                rows = self.images.get(name, {})
                rows.pop(row, None)
                if not rows:
                    self.images.pop(name, None)

    # Pods.

    def add_pod(self, info: PodInfo, node: str) -> None:
        """The pod counts on the node from now on, and nowhere else."""
        self.remove_pod(info.uid)
        row = self.rows.get(node)
        if row is None:
            self._keep_aside(info, node)
        else:
            self._count(info, row, 1)

    def _keep_aside(self, info: PodInfo, node: str) -> None:
        self._homeless.setdefault(node, {})[info.uid] = info
        self._waits_for[info.uid] = node

    def refresh(self, info: PodInfo, node: str) -> bool:
        """Takes a newer state of a pod if nothing that counts has changed; False where it must be added anew."""
        place = self._places.get(info.uid)
        if place is None or self.names[place.row] != node:
            return False
        old = place.info
        if old.shape is not info.shape or old.labels != info.labels or old.terminating != info.terminating:
            return False
        place.info = self.pods[place.row][info.uid] = info
        return True

    def remove_pod(self, uid: str) -> None:
        """The pod counts no more; nothing where it did not."""
        place = self._places.get(uid)
        if place is not None:
            self._count(place.info, place.row, -1)
            return
        node = self._waits_for.pop(uid, None)
        if node is not None:
            del self._homeless[node][uid]
            if not self._homeless[node]:
                del self._homeless[node]

    def node_of(self, uid: str) -> str:
        """The name of the node where a pod counts, "" if nowhere."""
        place = self._places.get(uid)
        return self.names[place.row] if place is not None else ""

    def _count(self, info: PodInfo, row: int, by: int) -> None:
        shape = info.shape
        if by > 0:
            self._places[info.uid] = Place(info, row)
            self.pods[row][info.uid] = info
        else:
            del self._places[info.uid]
            del self.pods[row][info.uid]
        for name, amount in shape.requests.items():
            column = self.requested.get(name)
            if column is None:
                self._add_resource(name)
                column = self.requested[name]
            column[row] += amount * by
            self._askers[name] = self._askers.get(name, 0) + by
            if not self._askers[name]:
                del self._askers[name]
                self._drop_resources([name])
        self.nonzero[CPU][row] += shape.nonzero[0] * by
        self.nonzero[MEMORY][row] += shape.nonzero[1] * by
        self.pod_count[row] += by
        for port in shape.ports:
            self._count_port(port, row, by)
        if shape.has_volumes:
            self._count_claims(info, row, by)
        self.counts.change(info, row, by)
        self._log.append(row)
        if len(self._log) > LOG_FACTOR * self.capacity:
            self._log_start += len(self._log)
            self._log.clear()

    def _count_port(self, port: tuple[str, str, int], row: int, by: int) -> None:
        address, protocol, number = port
        rows = self.ports.setdefault((protocol, number), {})
        addresses = rows.setdefault(row, {})
        addresses[address] = addresses.get(address, 0) + by
        if not addresses[address]:
            del addresses[address]
        if not addresses:
            del rows[row]
        if not rows:
            del self.ports[protocol, number]

    def _count_claims(self, info: PodInfo, row: int, by: int) -> None:
        for volume in info.pod.spec.volumes:
            if volume.persistent_volume_claim is None:
                continue
            key = (info.namespace, volume.persistent_volume_claim.claim_name)
            users = self.claims.setdefault(key, {})
            if by > 0:
                users[info.uid] = row
            else:
                users.pop(info.uid, None)
            if not users:
                del self.claims[key]

    # Room.

    def _add_resource(self, name: str) -> None:
        if name not in self.allocatable:
            self.allocatable[name] = np.zeros(self.capacity, np.int64)
            self.requested[name] = np.zeros(self.capacity, np.int64)

    def _drop_resources(self, names: Iterable[str]) -> None:
        """Those that no pod asks for and no node has: names are anybody's, and a column is as long as the table."""
        for name in names:
            if name not in ALWAYS and name not in self._askers and not self.allocatable[name].any():
                del self.allocatable[name], self.requested[name]

    def _grow(self) -> None:
        self.capacity *= 2
        for columns in (self.allocatable, self.requested, self.nonzero):
            for name in columns:
                columns[name] = self._longer(columns[name])
        self.present = self._longer(self.present)
        self.unschedulable = self._longer(self.unschedulable)
        self.taints = self._longer(self.taints)
        self.pod_count = self._longer(self.pod_count)
        self.pods_allowed = self._longer(self.pods_allowed)
        self.columns.grow(self.capacity)
        self.counts.grow(self.capacity)

    def _longer(self, column: npt.NDArray[C]) -> npt.NDArray[C]:
        longer = np.zeros(self.capacity, column.dtype)
        longer[: len(column)] = column
        return longer


def _same(old: core.Node, new: core.Node) -> bool:
    return (
        old.metadata.labels == new.metadata.labels
        and old.spec.unschedulable == new.spec.unschedulable
        and old.spec.taints == new.spec.taints
        and old.status.allocatable == new.status.allocatable
        and old.status.images == new.status.images
    )
