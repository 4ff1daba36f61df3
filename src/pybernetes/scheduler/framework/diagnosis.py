"""Why no node takes a pod, in upstream's words (framework.FitError, Diagnosis)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ..model.arrays import Ints
from .interface import Verdict

NO_NODES = "no nodes available to schedule pods"


@dataclass(slots=True)
class Refusals:
    """The rows that a plug-in refused for one reason."""

    plugin: str
    verdict: Verdict
    rows: Ints


@dataclass(slots=True)
class Diagnosis:
    """Of a pod that no node takes. `total` is the number of nodes."""

    total: int
    refusals: list[Refusals] = field(default_factory=list)
    plugins: set[str] = field(default_factory=set)  # whose word it was: what may help is asked of them
    message: str = ""  # of a plug-in that refused before it looked at nodes
    absent: Verdict | None = None  # of all nodes that `refusals` do not tell of

    def resolvable(self) -> list[int]:
        """Rows that might take the pod if some of their pods went away, in order."""
        return sorted(int(row) for r in self.refusals if not r.verdict.unresolvable for row in r.rows)

    def text(self, after: str = "") -> str:
        """The event's message; `after` is what preemption says."""
        if self.total == 0:
            return NO_NODES
        told = f"0/{self.total} nodes are available:"
        if self.message:
            told += f" {self.message}."
        else:
            told += histogram(self._reasons())
        return f"{told} {after}" if after else told

    def _reasons(self) -> Counter[str]:
        reasons: Counter[str] = Counter()
        explained = 0
        for refusal in self.refusals:
            explained += len(refusal.rows)
            for reason in refusal.verdict.reasons:
                reasons[reason] += len(refusal.rows)
        if self.absent is not None and explained < self.total:
            for reason in self.absent.reasons:
                reasons[reason] += self.total - explained
        return reasons


def histogram(reasons: Counter[str]) -> str:
    """` 1 this, 2 that.`, sorted as text; empty without reasons."""
    return f" {', '.join(sorted(f'{count} {reason}' for reason, count in reasons.items()))}." if reasons else ""
