"""DefaultPreemption: makes room for a pod by deleting less important ones (upstream: plugins/defaultpreemption, framework/preemption).

Victims are tried out on the table itself: taken off, asked, put back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from pybernetes.api.labels import as_selector
from pybernetes.api.types import policy_v1 as policy

from ..framework.diagnosis import Diagnosis, histogram
from ..framework.interface import Failure, Judge, Nominated, Nomination, NoNomination, Plugin, Verdict
from ..model.pods import PodInfo

PERCENTAGE = 10  # of the nodes that might do are tried ...
ABSOLUTE = 100  # ... but no fewer than these
NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = Verdict(("No preemption victims found for incoming pod",), True)
NEVER = "not eligible due to preemptionPolicy=Never."
TERMINATING = "not eligible due to a terminating pod on the nominated node."
_LAST = datetime.max.replace(tzinfo=UTC)  # for pods that have not started


class DefaultPreemption(Plugin):
    """Decides; the scheduler nominates the node and deletes the victims."""

    name = "DefaultPreemption"

    def post_filter(self, failure: Failure) -> Nomination | NoNomination | None:
        """The best node to make room on, or why there is none."""
        info, diagnosis = failure.info, failure.diagnosis
        if not diagnosis.total:
            return None
        ineligible = self._ineligible(info, diagnosis)
        if ineligible:
            return NoNomination(f"preemption: {ineligible}", False)
        rows = diagnosis.resolvable()
        offset = failure.pick(len(rows)) if rows else 0
        budgets = list(self.handle.cluster.disruption_budgets.list())
        candidates: list[Nomination] = []
        verdicts: Counter[str] = Counter()
        tried = 0
        for row in rows[offset:] + rows[:offset]:
            if len(candidates) >= self._enough(len(rows)) and any(not c.violations for c in candidates):
                break
            candidate = select_victims(failure.judge, info, row, failure.nominated, budgets)
            if isinstance(candidate, Nomination):
                candidates.append(candidate)
            else:
                tried += 1
                verdicts.update(candidate.reasons)
        if not candidates:
            verdicts[NOT_HELPFUL] += diagnosis.total - tried
            told = histogram(+verdicts)
            return NoNomination(f"preemption: 0/{diagnosis.total} nodes are available:{told}", True)
        return best(candidates)

    def _enough(self, nodes: int) -> int:
        percentage = self.arguments.get("minCandidateNodesPercentage")
        absolute = self.arguments.get("minCandidateNodesAbsolute")
        candidates = nodes * (PERCENTAGE if percentage is None else percentage) // 100
        return min(max(candidates, ABSOLUTE if absolute is None else absolute), nodes)

    def _ineligible(self, info: PodInfo, diagnosis: Diagnosis) -> str:
        if info.pod.spec.preemption_policy == "Never":
            return NEVER
        node = info.pod.status.nominated_node_name
        row = self.handle.table.rows.get(node)
        if not node or row is None or row not in diagnosis.resolvable():
            return ""
        leaving = (p for p in self.handle.table.pods[row].values() if p.priority < info.priority and _preempted(p))
        return TERMINATING if any(leaving) else ""


def _preempted(info: PodInfo) -> bool:
    return info.terminating and any(
        c.type == "DisruptionTarget" and c.status == "True" and c.reason == "PreemptionByScheduler"
        for c in info.pod.status.conditions
    )


def select_victims(
    judge: Judge,
    info: PodInfo,
    row: int,
    nominated: Nominated,
    budgets: Sequence[policy.PodDisruptionBudget],
) -> Nomination | Verdict:
    """All less important pods go; then as many as possible stay, the most important first, those under a budget before others."""
    table = judge.table
    node = table.names[row]
    potential = sorted((p for p in table.pods[row].values() if p.priority < info.priority), key=importance)
    if not potential:
        return NO_VICTIMS
    beside = [o for o in nominated.get(node, ()) if o.priority >= info.priority and o.uid != info.uid]
    for victim in potential:
        table.remove_pod(victim.uid)
    gone = {victim.uid: victim for victim in potential}
    try:
        refused = judge.refusal(info, row, beside)
        if refused is not None:
            return refused[1]
        violating, others = by_budget(potential, budgets)
        violations = 0
        for victim in (*violating, *others):
            table.add_pod(victim, node)
            if judge.refusal(info, row, beside) is None:
                del gone[victim.uid]
            else:
                table.remove_pod(victim.uid)
                violations += any(victim is v for v in violating)
        victims = tuple(sorted(gone.values(), key=importance))
    finally:
        for victim in gone.values():
            table.add_pod(victim, node)
    return Nomination(node, victims, violations) if victims else NO_VICTIMS


def importance(info: PodInfo) -> tuple[int, datetime]:
    """Sorts the more important first: by priority, then who has run longer."""
    return -info.priority, info.pod.status.start_time or _LAST


def by_budget(
    pods: Iterable[PodInfo], budgets: Sequence[policy.PodDisruptionBudget]
) -> tuple[list[PodInfo], list[PodInfo]]:
    """Those whose deletion a budget does not allow any more, and the others."""
    allowed = [budget.status.disruptions_allowed for budget in budgets]
    violating: list[PodInfo] = []
    others: list[PodInfo] = []
    for info in pods:
        violated = False
        for index, budget in enumerate(budgets):
            if _covers(budget, info):
                allowed[index] -= 1
                violated |= allowed[index] < 0
        (violating if violated else others).append(info)
    return violating, others


def _covers(budget: policy.PodDisruptionBudget, info: PodInfo) -> bool:
    if budget.metadata.namespace != info.namespace or not info.labels:
        return False
    selector = as_selector(budget.spec.selector)
    gone: Any = budget.status.disrupted_pods or {}
    return not selector.empty() and selector.matches(info.labels) and info.pod.metadata.name not in gone


def best(nominations: Sequence[Nomination]) -> Nomination:
    """Fewest violations, least important highest victim, smallest sum of priorities, fewest victims, latest start; then the first."""

    def rank(candidate: Nomination) -> tuple[int, int, int, int, float]:
        priorities = [victim.priority for victim in candidate.victims]
        highest = [v.pod.status.start_time or _LAST for v in candidate.victims if v.priority == priorities[0]]
        shifted = sum(priority + (1 << 31) for priority in priorities)
        return candidate.violations, priorities[0], shifted, len(priorities), -min(highest).timestamp()

    return min(nominations, key=rank)
