"""Questions about nodes that several plug-ins ask: required node affinity, taints."""

from __future__ import annotations

from collections.abc import Sequence

from pybernetes.api.nodes import tolerated, untolerated
from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import TAINT_NODE_UNSCHEDULABLE

from .arrays import Bools, Ints, np
from .pods import Shape
from .table import NodeTable, Rows, Taint

UNSCHEDULABLE = Taint(TAINT_NODE_UNSCHEDULABLE, "", "NoSchedule")


def taints_tolerated(table: NodeTable, tolerations: Sequence[core.Toleration], rows: Rows) -> Bools | None:
    """Which rows have no taint that keeps the pod out; None: all."""
    sets = table.taint_sets
    if len(sets) == 1:
        return None
    fine = np.fromiter((untolerated(tolerations, taints) is None for taints in sets), np.bool_, len(sets))
    tolerating: Bools = fine[table.taints[rows]]
    return tolerating


def intolerable(table: NodeTable, tolerations: Sequence[core.Toleration], rows: Rows) -> Ints:
    """How many PreferNoSchedule taints each row has that the pod does not tolerate."""
    chosen = [t for t in tolerations if t.effect in ("", "PreferNoSchedule")]
    counts = (
        sum(t.effect == "PreferNoSchedule" and not tolerated(chosen, t) for t in taints) for taints in table.taint_sets
    )
    untolerated_counts: Ints = np.fromiter(counts, np.int64, len(table.taint_sets))[table.taints[rows]]
    return untolerated_counts


def required_affinity(table: NodeTable, shape: Shape, rows: Rows) -> Bools | None:
    """Which rows meet the pod's nodeSelector and required node affinity; None: it has none."""
    mask: Bools | None = None
    for key, value in shape.spec.node_selector.items():
        column = table.column(key)
        met = column.codes[rows] == column.index.get(value, -2)
        mask = met if mask is None else mask & met
    terms = shape.required_nodes
    if terms is not None:
        met = table.columns.match_any(terms, table.labels, rows)
        mask = met if mask is None else mask & met
    return mask
