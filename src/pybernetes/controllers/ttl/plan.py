"""How long kubelets keep secrets and config maps in a cluster of a size; pure (upstream: pkg/controller/ttl)."""

from __future__ import annotations

# (fewest nodes, most nodes, seconds): the ranges overlap, so that one node more or less does not change all of them
BOUNDARIES = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10000, 300))


def step_after(step: int, nodes: int) -> int:
    """The boundary that holds, given the one that did."""
    while step > 0 and nodes < BOUNDARIES[step][0]:
        step -= 1
    while step < len(BOUNDARIES) - 1 and nodes > BOUNDARIES[step][1]:
        step += 1
    return step
