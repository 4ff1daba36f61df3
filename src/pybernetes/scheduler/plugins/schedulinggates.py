"""SchedulingGates: a pod with gates waits until they are gone (upstream: plugins/schedulinggates)."""

from __future__ import annotations

from ..framework.clusterevents import Event, on
from ..framework.interface import Plugin, Verdict
from ..model.pods import PodInfo


class SchedulingGates(Plugin):
    """Keeps pods out of the queue."""

    name = "SchedulingGates"
    events = on(Event.UNSCHEDULED_POD_UPDATE)

    def pre_enqueue(self, info: PodInfo) -> Verdict | None:
        gates = info.pod.spec.scheduling_gates
        if not gates:
            return None
        return Verdict((f"waiting for scheduling gates: [{' '.join(g.name for g in gates)}]",), True)
