"""VolumeBinding: a pod goes where its volumes are, or can come (upstream: plugins/volumebinding).

Claims that wait for their first consumer get a volume of the node, or are marked with the node for a provisioner; the pod is bound when
their volumes are. The free space that CSI drivers publish (CSIStorageCapacity) is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pybernetes.api.storageclasses import storage_class
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import ANN_SELECTED_NODE

from ..framework.clusterevents import Event, on
from ..framework.interface import Cycle, Depends, Plugin, PreFilter, Update, Verdict
from ..framework.volumes import (
    NO_PROVISIONER,
    claims_of,
    could_serve,
    is_bound,
    on_node,
    smallest_first,
    waits_for_consumer,
    with_claim,
    with_node,
)
from ..model.arrays import Bools, Ints, np
from ..model.pods import PodInfo
from ..model.selectors import node_terms
from ..model.table import NodeTable, Rows

UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
NODE_CONFLICT = Verdict(("node(s) didn't match PersistentVolume's node affinity",), True)
NO_VOLUME = Verdict(("node(s) didn't find available persistent volumes to bind",), True)
NOT_THERE = Verdict(("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",), True)

Claim = core.PersistentVolumeClaim
Volume = core.PersistentVolume


@dataclass(slots=True)
class _State:
    """`refused` has a verdict for rows that were asked about and do not fit."""

    bound: list[Claim]
    delayed: list[Claim]
    candidates: dict[str, list[Volume]] = field(default_factory=dict)  # by claim
    masks: dict[Verdict, Bools] = field(default_factory=dict)  # rows that each verdict refuses


@dataclass(frozen=True, slots=True)
class Plan:
    """What happens on a node: volumes for claims, and claims for a provisioner."""

    bindings: tuple[tuple[Volume, Claim], ...]
    provisions: tuple[Claim, ...]


def _size(claim: Claim) -> int:
    requested = claim.spec.resources.requests.get("storage")
    return requested.nanos if requested is not None else 0


class VolumeBinding(Plugin):
    """Keeps in mind what it gave away until the informers show it."""

    name = "VolumeBinding"
    filters = Depends.CLUSTER
    events = on(
        Event.CLASS_ADD,
        Event.CLASS_UPDATE,
        Event.CLAIM_ADD,
        Event.CLAIM_UPDATE,
        Event.VOLUME_ADD,
        Event.VOLUME_UPDATE,
        Event.NODE_ADD,
        Event.NODE_LABELS,
        Event.CSI_NODE_ADD,
        Event.CSI_NODE_UPDATE,
    )

    def __init__(self, arguments: Any, handle: Any) -> None:
        super().__init__(arguments, handle)
        self._given: dict[str, str] = {}  # volume -> uid of the pod for which it is set aside

    def pre_filter(self, cycle: Cycle) -> PreFilter | None:
        if not cycle.info.shape.has_volumes:
            return None
        claims = claims_of(cycle.info, cycle.cluster)
        if isinstance(claims, str):
            return PreFilter(Verdict((claims,), True))
        bound = [claim for claim in claims if is_bound(claim)]
        unbound = [claim for claim in claims if not is_bound(claim)]
        if any(claim.spec.volume_name or not waits_for_consumer(claim, cycle.cluster) for claim in unbound):
            return PreFilter(Verdict((UNBOUND,), True))
        if claims:
            cycle.state[self.name] = _State(bound, unbound)
        return None

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        state: _State | None = cycle.state.get(self.name)
        if state is None:
            return None
        if not state.masks:
            state.masks = self._refused(cycle, state)
        mask: Bools = np.ones(len(cycle.table.present[rows]), np.bool_)
        for refused in state.masks.values():
            mask &= ~refused[rows]
        return mask

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        state: _State = cycle.state[self.name]
        by_reasons: dict[tuple[str, ...], list[int]] = {}
        for row in rows:
            reasons = tuple(reason for v, refused in state.masks.items() if refused[row] for reason in v.reasons)
            by_reasons.setdefault(reasons, []).append(int(row))
        return [(Verdict(reasons, True), np.array(members, np.int64)) for reasons, members in by_reasons.items()]

    def reserve(self, info: PodInfo, node: str) -> Sequence[Update]:
        if not info.shape.has_volumes:
            return ()
        cluster, table = self.handle.cluster, self.handle.table
        claims = claims_of(info, cluster)
        place = table.rows.get(node)
        holder = table.nodes[place] if place is not None else None
        delayed = [c for c in claims if not is_bound(c)] if not isinstance(claims, str) else []
        if not delayed or holder is None:
            return ()
        cycle = Cycle(info, table, cluster)
        state = _State([], delayed, {c.metadata.name: self._candidates(cycle, c) for c in delayed})
        plan = self._plan(cycle, state, holder)
        if plan is None:
            return ()
        for volume, _ in plan.bindings:
            self._given[volume.metadata.name] = info.uid
        updates = [Update(with_claim(volume, claim)) for volume, claim in plan.bindings]
        marked = [claim for claim in plan.provisions if claim.metadata.annotations.get(ANN_SELECTED_NODE) != node]
        return [*updates, *(Update(with_node(claim, node)) for claim in marked)]

    def waits(self, info: PodInfo) -> bool:
        if not info.shape.has_volumes:
            return False
        claims = claims_of(info, self.handle.cluster)
        # A claim that is gone will not come back: the kubelet tells of it.
        return not isinstance(claims, str) and not all(is_bound(claim) for claim in claims)

    def release(self, info: PodInfo) -> None:
        if info.shape.has_volumes:
            self._given = {name: uid for name, uid in self._given.items() if uid != info.uid}

    # Nodes.

    def _refused(self, cycle: Cycle, state: _State) -> dict[Verdict, Bools]:
        table = cycle.table
        masks = {verdict: np.zeros(table.used, np.bool_) for verdict in (NODE_CONFLICT, NO_VOLUME, NOT_THERE)}
        for claim in state.bound:
            volume = cycle.cluster.volumes.get(claim.spec.volume_name)
            if volume is None:
                masks[NOT_THERE][:] = True
                continue
            reached = reachable(table, volume)
            if reached is not None:
                masks[NODE_CONFLICT] |= ~reached
        if state.delayed:
            masks[NO_VOLUME] = ~self._servable(cycle, state)
        return masks

    def _servable(self, cycle: Cycle, state: _State) -> Bools:
        """Rows where all claims that wait get a volume. One claim is answered for all rows at once, several row by row."""
        table = cycle.table
        state.candidates = {c.metadata.name: self._candidates(cycle, c) for c in state.delayed}
        if len(state.delayed) > 1:
            nodes = (table.nodes[row] for row in range(table.used))
            fits = [node is not None and self._plan(cycle, state, node) is not None for node in nodes]
            return np.array(fits, np.bool_)
        claim = state.delayed[0]
        selected = claim.metadata.annotations.get(ANN_SELECTED_NODE)
        mask = np.array([self._provisions(cycle, claim, node) for node in table.nodes], np.bool_)
        if selected is not None:
            only = np.zeros(table.used, np.bool_)
            only[[table.rows[selected]] if selected in table.rows else []] = True
            return mask & only
        for volume in state.candidates[claim.metadata.name]:
            reached = reachable(table, volume)
            mask |= reached if reached is not None else True
        return mask

    def _candidates(self, cycle: Cycle, claim: Claim) -> list[Volume]:
        free = (
            v
            for v in cycle.cluster.volumes.list()
            if self._given.get(v.metadata.name, cycle.info.uid) == cycle.info.uid and could_serve(v, claim)
        )
        return smallest_first(free)

    def _plan(self, cycle: Cycle, state: _State, node: core.Node) -> Plan | None:
        """The smallest volumes that do, for the smallest claims first; None where a claim goes without."""
        bindings: list[tuple[Volume, Claim]] = []
        provisions: list[Claim] = []
        taken: set[str] = set()
        for claim in sorted(state.delayed, key=_size):
            selected = claim.metadata.annotations.get(ANN_SELECTED_NODE)
            if selected is not None and selected != node.metadata.name:
                return None
            options = state.candidates[claim.metadata.name] if selected is None else []
            volume = next((v for v in options if v.metadata.name not in taken and on_node(v, node)), None)
            if volume is not None:
                taken.add(volume.metadata.name)
                bindings.append((volume, claim))
            elif self._provisions(cycle, claim, node):
                provisions.append(claim)
            else:
                return None
        return Plan(tuple(bindings), tuple(provisions))

    @staticmethod
    def _provisions(cycle: Cycle, claim: Claim, node: core.Node | None) -> bool:
        """Whether a volume can be made for the node."""
        chosen_class = cycle.cluster.storage_classes.get(storage_class(claim))
        if node is None or chosen_class is None or chosen_class.provisioner in ("", NO_PROVISIONER):
            return False
        labels = node.metadata.labels
        return not chosen_class.allowed_topologies or any(
            all(labels.get(e.key) in e.values for e in term.match_label_expressions)
            for term in chosen_class.allowed_topologies
        )


def reachable(table: NodeTable, volume: Volume) -> Bools | None:
    """Rows that reach the volume; None: all."""
    affinity = volume.spec.node_affinity
    terms = node_terms(affinity.required) if affinity is not None else None
    return None if terms is None else table.columns.match_any(terms, table.labels, table.all)
