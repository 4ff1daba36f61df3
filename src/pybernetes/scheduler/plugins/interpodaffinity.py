"""InterPodAffinity: near or far from other pods, by topology (upstream: plugins/interpodaffinity)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.api.types import core_v1 as core

from ..framework.clusterevents import Event
from ..framework.interface import MAX_SCORE, Cluster, Cycle, Depends, Handle, Plugin, Verdict
from ..model.arrays import Bools, Ints, np
from ..model.labelcolumns import ABSENT
from ..model.podcounts import PodClass, TermGroup
from ..model.pods import PodInfo
from ..model.selectors import AffinityTerm
from ..model.table import NodeTable, Rows

HARD_WEIGHT = 1  # of others' required affinity when nodes are scored; upstream's hardPodAffinityWeight
REMEMBERED = 1024  # label sets for which it is known who means them
AFFINITY = Verdict(("node(s) didn't match pod affinity rules",), True)
ANTI_AFFINITY = Verdict(("node(s) didn't match pod anti-affinity rules",))
EXISTING = Verdict(("node(s) didn't satisfy existing pods anti-affinity rules",))


@dataclass(slots=True)
class _State:
    """Masks over all rows, None where there is nothing to ask."""

    affinity: Bools | None
    anti_affinity: Bools | None
    existing: Bools | None


def matching_pods(table: NodeTable, cluster: Cluster, terms: Sequence[AffinityTerm]) -> Ints:
    """Pods by row that all of the terms mean, those that go away included."""

    def matches(cls: PodClass) -> bool:
        return all(term.matches(cls.namespace, cls.labels, cluster.namespace_labels) for term in terms)

    return table.counts.counter(("terms", tuple(terms)), matches)


def domain_counts(table: NodeTable, key: str, rows: Ints, counts: Ints) -> Ints:
    """Sums by the topology's code; the last is for nodes without the label and always 0."""
    column = table.column(key)
    codes = column.codes[rows]
    labelled = codes != ABSENT
    domains = np.bincount(codes[labelled], weights=counts[labelled], minlength=len(column.index) + 1)
    return domains.astype(np.int64)


def _group_counts(table: NodeTable, group: TermGroup) -> Ints:
    rows = np.fromiter(group.rows.keys(), np.int64, len(group.rows))
    counts = np.fromiter(group.rows.values(), np.int64, len(group.rows))
    return domain_counts(table, group.term.topology_key, rows, counts)


def _means(terms: Sequence[AffinityTerm], pod: Any, labels: Any) -> bool:
    return any(term.matches(pod.metadata.namespace, pod.metadata.labels, labels) for term in terms)


class InterPodAffinity(Plugin):
    """Required terms filter, preferred ones score; those of the pods that are there count as well as the pod's own."""

    name = "InterPodAffinity"
    weight = 2
    filters = scores = Depends.CLUSTER
    normalizes = True

    def __init__(self, arguments: Mapping[str, Any], handle: Handle) -> None:
        super().__init__(arguments, handle)
        hard = arguments.get("hardPodAffinityWeight")
        self._hard = HARD_WEIGHT if hard is None else int(hard)
        self._meant: dict[tuple[str, frozenset[tuple[str, str]]], list[TermGroup]] = {}
        self._meant_version = -1
        self._ignore = bool(arguments.get("ignorePreferredTermsOfExistingPods"))
        self.events = {
            Event.ASSIGNED_POD_ADD: self._after_pod,
            Event.ASSIGNED_POD_UPDATE: self._after_pod,
            Event.ASSIGNED_POD_DELETE: self._after_deletion,
            Event.UNSCHEDULED_POD_UPDATE: None,
            Event.NODE_ADD: None,
            Event.NODE_LABELS: None,
            Event.NAMESPACE_CHANGE: None,
        }

    # Hints.

    def _after_pod(self, info: PodInfo, old: core.Pod | None, new: core.Pod) -> bool:
        """A pod helps that the required affinity means, or that anti-affinity does not mean any more."""
        labels = self.handle.cluster.namespace_labels
        shape = info.shape
        if _means(shape.affinity, new, labels):
            return True
        if old is None:
            return False
        # Its labels have changed: whom it kept out before may come in now.
        return _means(shape.anti_affinity, old, labels) and not _means(shape.anti_affinity, new, labels)

    def _after_deletion(self, info: PodInfo, old: core.Pod, new: core.Pod | None) -> bool:
        """A pod that is gone helps if it was in the way, by the one's anti-affinity or the other's."""
        if _means(info.shape.anti_affinity, old, self.handle.cluster.namespace_labels):
            return True
        affinity = old.spec.affinity
        return affinity is not None and affinity.pod_anti_affinity is not None

    # Filter.

    def filter(self, cycle: Cycle, rows: Rows) -> Bools | None:
        state = self._state(cycle)
        mask: Bools | None = None
        for part in (state.affinity, state.anti_affinity, state.existing):
            if part is not None:
                mask = part[rows] if mask is None else mask & part[rows]
        return mask

    def verdicts(self, cycle: Cycle, rows: Ints) -> list[tuple[Verdict, Ints]]:
        state = self._state(cycle)
        verdicts = []
        parts = ((AFFINITY, state.affinity), (ANTI_AFFINITY, state.anti_affinity), (EXISTING, state.existing))
        for verdict, part in parts:
            if part is not None:
                verdicts.append((verdict, rows[~part[rows]]))
                rows = rows[part[rows]]
        return [(verdict, refused) for verdict, refused in verdicts if len(refused)]

    def _state(self, cycle: Cycle) -> _State:
        cached: _State | None = cycle.state.get(self.name)
        if cached is None:
            shape = cycle.info.shape
            cached = cycle.state[self.name] = _State(
                self._affinity(cycle) if shape.affinity else None,
                self._anti_affinity(cycle) if shape.anti_affinity else None,
                self._existing(cycle),
            )
        return cached

    def _affinity(self, cycle: Cycle) -> Bools:
        table, terms = cycle.table, cycle.info.shape.affinity
        counts = matching_pods(table, cycle.cluster, terms)
        rows = np.flatnonzero(counts[table.all])
        labelled = np.ones(table.used, np.bool_)
        met = np.ones(table.used, np.bool_)
        any_there = False
        for term in terms:
            domains = domain_counts(table, term.topology_key, rows, counts[rows])
            any_there |= bool(domains.any())
            codes = table.column(term.topology_key).codes[table.all]
            labelled &= codes != ABSENT
            met &= domains[codes] > 0
        if not any_there and self._means_itself(cycle):
            return labelled  # the first of a group that wants to be together
        return labelled & met

    @staticmethod
    def _means_itself(cycle: Cycle) -> bool:
        info, labels = cycle.info, cycle.cluster.namespace_labels
        return all(term.matches(info.namespace, info.labels, labels) for term in info.shape.affinity)

    @staticmethod
    def _anti_affinity(cycle: Cycle) -> Bools:
        table = cycle.table
        mask = np.ones(table.used, np.bool_)
        for term in cycle.info.shape.anti_affinity:
            counts = matching_pods(table, cycle.cluster, (term,))
            rows = np.flatnonzero(counts[table.all])
            domains = domain_counts(table, term.topology_key, rows, counts[rows])
            mask &= domains[table.column(term.topology_key).codes[table.all]] == 0
        return mask

    def _existing(self, cycle: Cycle) -> Bools | None:
        table, mask = cycle.table, None
        for group in self._meant_by(cycle):
            if group.role == "anti":
                mask = np.ones(table.used, np.bool_) if mask is None else mask
                codes = table.column(group.term.topology_key).codes[table.all]
                mask &= _group_counts(table, group)[codes] == 0
        return mask

    def _meant_by(self, cycle: Cycle) -> list[TermGroup]:
        """Others' terms that mean the pod."""
        key = f"{self.name}/groups"
        cached: list[TermGroup] | None = cycle.state.get(key)
        if cached is None:
            cached = cycle.state[key] = self._groups(cycle)
        return cached

    def _groups(self, cycle: Cycle) -> list[TermGroup]:
        """The same for pods of equal labels, as long as no other terms come up."""
        info, counts = cycle.info, cycle.table.counts
        if not counts.groups:
            return []
        if self._meant_version != counts.version or len(self._meant) > REMEMBERED:
            self._meant.clear()
            self._meant_version = counts.version
        key = (info.namespace, frozenset(info.labels.items()))
        matching = self._meant.get(key)
        if matching is None:
            labels = cycle.cluster.namespace_labels
            matching = [g for g in counts.groups.values() if g.term.matches(info.namespace, info.labels, labels)]
            self._meant[key] = matching
        return matching

    # Score.

    def pre_score(self, cycle: Cycle) -> bool:
        return bool(cycle.info.shape.preferred_affinity) or bool(self._scoring_groups(cycle))

    def score(self, cycle: Cycle, rows: Rows) -> Ints | None:
        if not self.pre_score(cycle):
            return None
        table = cycle.table
        total = np.zeros(len(table.present[rows]), np.int64)
        some = False
        for term, weight in cycle.info.shape.preferred_affinity:
            counts = matching_pods(table, cycle.cluster, (term,))
            there = np.flatnonzero(counts[table.all])
            domains = domain_counts(table, term.topology_key, there, counts[there])
            some |= bool(domains.any())
            total += weight * domains[table.column(term.topology_key).codes[rows]]
        for group, weight in self._scoring_groups(cycle):
            domains = _group_counts(table, group)
            some |= bool(domains.any())
            total += weight * domains[table.column(group.term.topology_key).codes[rows]]
        return total if some else None

    def normalize(self, cycle: Cycle, scores: Ints) -> Ints:
        lowest, highest = int(scores.min()), int(scores.max())
        if highest == lowest:
            return np.zeros(len(scores), np.int64)
        return (MAX_SCORE * ((scores - lowest) / (highest - lowest))).astype(np.int64)

    def _scoring_groups(self, cycle: Cycle) -> list[tuple[TermGroup, int]]:
        shape = cycle.info.shape
        if self._ignore and not shape.preferred_affinity:
            return []
        weights = ((g, self._hard if g.role == "required" else g.weight) for g in self._meant_by(cycle))
        return [(group, weight) for group, weight in weights if weight and group.role != "anti"]
