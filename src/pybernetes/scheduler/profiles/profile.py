"""Runs a profile's plug-ins over the table and decides (upstream: pkg/scheduler/schedule_one.go, framework/runtime).

Every node is looked at for every pod: over columns that is cheaper than upstream's sampling, so percentageOfNodesToScore has no effect.
What pods of one shape share is kept from pod to pod, and only rows whose pods have changed are worked out again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..framework.diagnosis import Diagnosis, Refusals
from ..framework.interface import Cluster, Cycle, Depends, Nominated, Pick, Plugin, Verdict
from ..model.arrays import Bools, Ints, np
from ..model.pods import PodInfo, Shape
from ..model.table import NodeTable, Rows

SHAPES = 64  # of how many shapes the answers are kept
FEW = 4  # rows are worked out one by one as long as at most one in so many has changed


@dataclass(frozen=True, slots=True)
class Placement:
    """The node that takes the pod; `evaluated` and `feasible` count nodes."""

    node: str
    evaluated: int
    feasible: int


@dataclass(slots=True)
class _Answers:
    """What pods of a shape share. Arrays cover all rows."""

    structure: int = -1
    version: int = -1
    static_fit: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    static_score: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    raw: list[tuple[Plugin, int, Ints]] = field(default_factory=list)  # still to be normalized
    fit: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    score: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    best: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # the score where it fits, else -1


class Profile:
    """The plug-ins of one scheduler name, in their order."""

    def __init__(
        self,
        name: str,
        filters: Sequence[Plugin],
        scorers: Sequence[tuple[Plugin, int]],
        gates: Sequence[Plugin],
        table: NodeTable,
        cluster: Cluster,
    ) -> None:
        self.name, self.table, self.cluster = name, table, cluster
        self.filters, self.scorers, self.gates = filters, scorers, gates
        self._answers: OrderedDict[bytes, _Answers] = OrderedDict()
        self._pre = [p for p in filters if type(p).pre_filter is not Plugin.pre_filter]
        self._of = {depends: [p for p in filters if p.filters is depends] for depends in Depends}
        self._late_scorers = [(p, w) for p, w in scorers if p.scores is Depends.CLUSTER]

    # Decisions.

    def decide(self, info: PodInfo, nominated: Nominated, pick: Pick) -> Placement | Diagnosis:
        """The node for a pod, or why there is none."""
        cycle, names, refused = self._begin(info)
        if refused is not None:
            return refused
        preferred = self._nominated_node(cycle, info, nominated)
        if preferred is not None:
            return preferred
        if names is not None:
            rows = np.array([self.table.rows[n] for n in names if n in self.table.rows], np.int64)
            fit = self._fits(cycle, rows)
        else:
            answers = self._shared(cycle)
            late = [m for p in self._of[Depends.CLUSTER] if (m := p.filter(cycle, self.table.all)) is not None]
            if not late and not nominated and not answers.raw:
                simple = self._simple(cycle, answers, pick)
                if simple is not None:
                    return simple
            mask = answers.fit
            for other in late:
                mask = mask & other
            rows, fit = np.flatnonzero(mask), np.ones(0, np.bool_)
        if names is not None:
            rows = rows[fit]
        held = self._held_by_nominated(info, rows, nominated)
        if held:
            rows = rows[~np.isin(rows, np.fromiter(held, np.int64))]
        if len(rows) == 0:
            return self._diagnose(cycle, names, held)
        return Placement(self.table.names[self._choose(cycle, rows, pick)], len(self.table), len(rows))

    def explain(self, info: PodInfo) -> dict[str, dict[str, int]]:
        """The weighted score of each plug-in for each node that takes the pod."""
        cycle, names, refused = self._begin(info)
        if refused is not None:
            return {}
        chosen = [r for n, r in self.table.rows.items() if names is None or n in names]
        rows = np.array(sorted(chosen), np.int64)
        rows = rows[self._fits(cycle, rows)]
        if not len(rows):
            return {}
        by_node: dict[str, dict[str, int]] = {self.table.names[row]: {} for row in rows}
        for plugin, weight in self.scorers:
            raw = plugin.score(cycle, rows)
            if raw is None:
                continue
            scores = weight * (plugin.normalize(cycle, raw) if plugin.normalizes else raw)
            for row, score in zip(rows, scores, strict=True):
                by_node[self.table.names[row]][plugin.name] = int(score)
        return by_node

    def refusal(self, info: PodInfo, row: int, beside: Sequence[PodInfo] = ()) -> tuple[str, Verdict] | None:
        """The plug-in that refuses the pod on a row, and why; with `beside` (waiting for room there) counted, and without.

        The table is as before when it returns.
        """
        for guests in (beside, ()) if beside else ((),):
            moved = [(g, self.table.node_of(g.uid)) for g in guests]
            for guest in guests:
                self.table.add_pod(guest, self.table.names[row])
            try:
                verdict = self._refusal(info, row)
            finally:
                for guest, home in moved:
                    self.table.remove_pod(guest.uid)
                    if home:
                        self.table.add_pod(guest, home)
            if verdict is not None:
                return verdict
        return None

    def _refusal(self, info: PodInfo, row: int) -> tuple[str, Verdict] | None:
        cycle = Cycle(info, self.table, self.cluster)
        for plugin in self._pre:
            answer = plugin.pre_filter(cycle)
            if answer is not None and answer.verdict is not None:
                return plugin.name, answer.verdict
        rows = np.array([row], np.int64)
        for plugin in self.filters:
            mask = plugin.filter(cycle, rows)
            if mask is not None and not mask[0]:
                return plugin.name, plugin.verdicts(cycle, rows)[0][0]
        return None

    # Steps of a decision.

    def _begin(self, info: PodInfo) -> tuple[Cycle, frozenset[str] | None, Diagnosis | None]:
        cycle = Cycle(info, self.table, self.cluster)
        names: frozenset[str] | None = None
        speakers: list[str] = []
        if not self.table.rows:
            return cycle, None, Diagnosis(0)
        for plugin in self._pre:
            answer = plugin.pre_filter(cycle)
            if answer is None:
                continue
            if answer.verdict is not None:
                diagnosis = Diagnosis(len(self.table), plugins={plugin.name}, message=", ".join(answer.verdict.reasons))
                return cycle, None, diagnosis
            if answer.names is not None:
                names = answer.names if names is None else names & answer.names
                speakers.append(plugin.name)
        if names is not None and not names:
            together = " simultaneously" if len(speakers) > 1 else ""
            text = f"node(s) didn't satisfy plugin(s) [{' '.join(speakers)}]{together}"
            return cycle, names, Diagnosis(len(self.table), plugins=set(speakers), message=text)
        cycle.state["names"] = speakers
        return cycle, names, None

    def _nominated_node(self, cycle: Cycle, info: PodInfo, nominated: Nominated) -> Placement | None:
        """A pod that waited for room on a node goes there if there is room now."""
        name = info.pod.status.nominated_node_name
        row = self.table.rows.get(name) if name else None
        if row is None:
            return None
        others = _more_important(info, nominated.get(name, ()))
        return Placement(name, 1, 1) if self.refusal(info, row, others) is None else None

    def _held_by_nominated(self, info: PodInfo, rows: Ints, nominated: Nominated) -> dict[int, tuple[str, Verdict]]:
        """Rows that would take the pod, but not beside pods that wait for room there and are as important."""
        held: dict[int, tuple[str, Verdict]] = {}
        for name, infos in nominated.items():
            row = self.table.rows.get(name)
            others = _more_important(info, infos)
            if row is None or not others or row not in rows:
                continue
            verdict = self.refusal(info, row, others)
            if verdict is not None:
                held[row] = verdict
        return held

    def _simple(self, cycle: Cycle, answers: _Answers, pick: Pick) -> Placement | None:
        """Where nothing but shared answers counts: None if no row fits or a plug-in must score the pod by itself."""
        top = answers.best.max()
        if top < 0:
            return None
        if any(plugin.pre_score(cycle) for plugin, _ in self._late_scorers):
            return None
        equal = np.flatnonzero(answers.best == top)
        row = int(equal[pick(len(equal)) if len(equal) > 1 else 0])
        return Placement(self.table.names[row], len(self.table), int(np.count_nonzero(answers.fit)))

    def _choose(self, cycle: Cycle, rows: Ints, pick: Pick) -> int:
        """One of the rows with the highest score."""
        if len(rows) == 1:
            return int(rows[0])
        if len(rows) * FEW > self.table.used:
            answers = self._shared(cycle)
            total = answers.score[rows]
            late = [(p, w, raw[rows]) for p, w, raw in answers.raw]
            for plugin, weight in self._late_scorers:
                if plugin.pre_score(cycle) and (raw := plugin.score(cycle, rows)) is not None:
                    late.append((plugin, weight, raw))
        else:
            total, late = np.zeros(len(rows), np.int64), []
            for plugin, weight in self.scorers:
                raw = plugin.score(cycle, rows)
                if raw is not None:
                    late.append((plugin, weight, raw))
        for plugin, weight, raw in late:
            total = total + weight * (plugin.normalize(cycle, raw) if plugin.normalizes else raw)
        equal = np.flatnonzero(total == total.max())
        return int(rows[equal[pick(len(equal)) if len(equal) > 1 else 0]])

    def _fits(self, cycle: Cycle, rows: Ints) -> Bools:
        """Which of some rows take the pod."""
        fit = self.table.present[rows]
        for plugin in self.filters:
            mask = plugin.filter(cycle, rows)
            if mask is not None:
                fit = fit & mask
        return fit

    def _diagnose(
        self, cycle: Cycle, names: frozenset[str] | None, held: Mapping[int, tuple[str, Verdict]]
    ) -> Diagnosis:
        """Asks the plug-ins in their order; the first that refuses a row has the word on it."""
        table = self.table
        diagnosis = Diagnosis(len(table))
        left = table.present[table.all].copy()
        if names is not None:
            speakers = cycle.state["names"]
            left[:] = False
            left[[table.rows[n] for n in names if n in table.rows]] = True
            diagnosis.absent = Verdict((f"node(s) didn't satisfy plugin(s) [{' '.join(speakers)}]",), True)
            diagnosis.plugins.update(speakers)
        for plugin in self.filters:
            mask = plugin.filter(cycle, table.all)
            if mask is None:
                continue
            refused = np.flatnonzero(left & ~mask)
            if len(refused):
                verdicts = plugin.verdicts(cycle, refused)
                diagnosis.refusals += [Refusals(plugin.name, verdict, rows) for verdict, rows in verdicts]
                diagnosis.plugins.add(plugin.name)
                left &= mask
        for row, (name, verdict) in held.items():
            diagnosis.refusals.append(Refusals(name, verdict, np.array([row], np.int64)))
            diagnosis.plugins.add(name)
        return diagnosis

    # Shared answers.

    def _shared(self, cycle: Cycle) -> _Answers:
        """The answers for the pod's shape, brought up to date."""
        table, shape = self.table, cycle.info.shape
        answers = self._find(shape)
        if answers.structure != table.structure:
            self._answer_nodes(cycle, answers)
            self._answer_rows(cycle, answers, table.all)
        elif answers.version != table.version:
            changed = table.changed_since(answers.version)
            if changed is None or len(changed) * FEW > table.used:
                self._answer_rows(cycle, answers, table.all)
            else:
                self._answer_rows(cycle, answers, np.array(list(set(changed)), np.int64))
        answers.structure, answers.version = table.structure, table.version
        return answers

    def _find(self, shape: Shape) -> _Answers:
        answers = self._answers.get(shape.key)
        if answers is None:
            answers = self._answers[shape.key] = _Answers()
            if len(self._answers) > SHAPES:
                self._answers.popitem(last=False)
        else:
            self._answers.move_to_end(shape.key)
        return answers

    def _answer_nodes(self, cycle: Cycle, answers: _Answers) -> None:
        table = self.table
        fit = table.present[table.all].copy()
        for plugin in self._of[Depends.NODES]:
            mask = plugin.filter(cycle, table.all)
            if mask is not None:
                fit &= mask
        score = np.zeros(table.used, np.int64)
        answers.raw = []
        for plugin, weight in self.scorers:
            if plugin.scores is not Depends.NODES:
                continue
            raw = plugin.score(cycle, table.all)
            if raw is None:
                continue
            if not plugin.normalizes:
                score += weight * raw
            elif raw.any():  # nothing but zeros moves no node before another
                answers.raw.append((plugin, weight, raw))
        answers.static_fit, answers.static_score = fit, score
        answers.fit, answers.score, answers.best = fit.copy(), score.copy(), score.copy()

    def _answer_rows(self, cycle: Cycle, answers: _Answers, rows: Rows) -> None:
        fit, score = answers.static_fit[rows], answers.static_score[rows]
        for plugin in self._of[Depends.ROW]:
            mask = plugin.filter(cycle, rows)
            if mask is not None:
                fit = fit & mask
        for plugin, weight in self.scorers:
            if plugin.scores is Depends.ROW:
                raw = plugin.score(cycle, rows)
                if raw is not None:
                    score = score + (raw if weight == 1 else weight * raw)
        answers.fit[rows] = fit
        answers.score[rows] = score
        answers.best[rows] = np.where(fit, score, -1)


def _more_important(info: PodInfo, others: Sequence[PodInfo]) -> list[PodInfo]:
    """Those that may keep their room before the pod."""
    return [o for o in others if o.priority >= info.priority and o.uid != info.uid]
