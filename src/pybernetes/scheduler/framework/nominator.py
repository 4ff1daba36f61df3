"""Pods that wait for room that preemption makes for them (upstream: backend/queue/nominator.go)."""

from __future__ import annotations

from ..model.pods import PodInfo


class Nominator:
    """`by_node` counts for all who decide: room that is promised is not given to the less important."""

    def __init__(self) -> None:
        self.by_node: dict[str, list[PodInfo]] = {}
        self._nodes: dict[str, str] = {}

    def add(self, info: PodInfo, node: str) -> None:
        """The pod waits for the node, and for no other."""
        self.remove(info.uid)
        self._nodes[info.uid] = node
        self.by_node.setdefault(node, []).append(info)

    def remove(self, uid: str) -> None:
        """The pod waits for no node any more: bound, deleted, or nominated elsewhere. Nothing where it did not."""
        node = self._nodes.pop(uid, None)
        if node is not None:
            left = [info for info in self.by_node[node] if info.uid != uid]
            if left:
                self.by_node[node] = left
            else:
                del self.by_node[node]

    def observe(self, old_node: str, info: PodInfo) -> None:
        """A pod's status as the API server has it; what it does not say yet (a nomination under way) stays."""
        node = info.pod.status.nominated_node_name
        if node:
            self.add(info, node)
        elif old_node:
            self.remove(info.uid)

    def less_important(self, info: PodInfo, node: str) -> list[PodInfo]:
        """Those whose promise on the node is worth less than the pod."""
        return [other for other in self.by_node.get(node, ()) if other.priority < info.priority]
