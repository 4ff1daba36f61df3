"""The table after any history of nodes and pods is the table of those that are there now, and no larger than they are."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pybernetes.api.types import core_v1 as core
from pybernetes.scheduler.model.labelcolumns import ABSENT, SPARE_VALUES, LabelColumn
from pybernetes.scheduler.model.pods import PodInfo, Shapes
from pybernetes.scheduler.model.table import ALWAYS, NodeTable

from ..make import node, pod

NAMES = [f"n{number}" for number in range(20)]  # more than the rows that a table begins with
UIDS = [f"p{number}" for number in range(12)]
KEYS = ("zone", "disk")
RESOURCES = ("example.com/a", "example.com/b")


@st.composite
def nodes(draw: st.DrawFn) -> core.Node:
    return node(
        draw(st.sampled_from(NAMES)),
        cpu=draw(st.sampled_from(["1", "4"])),
        pods=draw(st.sampled_from(["5", "110"])),
        labels=draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from("xyz"))),
        taints=draw(st.sampled_from([(), ("a=1:NoSchedule",), ("a=1:NoSchedule", "b=2:NoExecute")])),
        images=draw(st.dictionaries(st.sampled_from(["i", "j"]), st.integers(1, 9))),
        unschedulable=draw(st.booleans()),
        **{name: "3" for name in draw(st.sets(st.sampled_from(RESOURCES)))},
    )


TERM = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": "zone"}
AFFINITIES: tuple[dict[str, Any], ...] = (
    {},
    {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}},
    {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 3, "podAffinityTerm": TERM}]}},
)


@st.composite
def pods(draw: st.DrawFn) -> core.Pod:
    ports = draw(st.sampled_from([(), ({"containerPort": 80, "hostPort": 80, "protocol": "TCP"},)]))
    claims = draw(st.sets(st.sampled_from(["c", "d"])))
    return pod(
        draw(st.sampled_from(UIDS)),
        draw(st.dictionaries(st.sampled_from(["cpu", "memory", *RESOURCES]), st.sampled_from(["1", "2"]))),
        labels=draw(st.dictionaries(st.just("app"), st.sampled_from("ab"))),
        node=draw(st.sampled_from(NAMES)),
        ports=ports,
        volumes=[{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in sorted(claims)],
        affinity=draw(st.sampled_from(AFFINITIES)),
    )


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("node"), nodes()),
        st.tuples(st.just("gone"), st.sampled_from(NAMES)),
        st.tuples(st.just("pod"), pods()),
        st.tuples(st.just("refresh"), pods()),
        st.tuples(st.just("removed"), st.sampled_from(UIDS)),
        st.tuples(st.just("column"), st.sampled_from(KEYS)),
        st.tuples(st.just("counter"), st.sampled_from("ab")),
    ),
    max_size=40,
)


class History:
    """A table, and what should be in it."""

    def __init__(self) -> None:
        self.table, self.shapes = NodeTable(), Shapes()
        self.nodes: dict[str, core.Node] = {}
        self.pods: dict[str, tuple[PodInfo, str]] = {}

    def do(self, what: str, subject: Any) -> None:
        if what == "node":
            self.table.set_node(subject)
            self.nodes[subject.metadata.name] = subject
        elif what == "gone":
            self.table.remove_node(subject)
            self.nodes.pop(subject, None)
        elif what == "removed":
            uid = f"default/{subject}"
            self.table.remove_pod(uid)
            self.pods.pop(uid, None)
        elif what == "column":
            self.table.column(subject)
        elif what == "counter":
            count(self.table, subject)
        else:
            self._pod(what, subject)

    def _pod(self, what: str, subject: core.Pod) -> None:
        info, where = self.shapes.info(subject), subject.spec.node_name
        if what == "pod" or not self.table.refresh(info, where):
            self.table.add_pod(info, where)
        self.pods[info.uid] = (info, where)

    def anew(self) -> NodeTable:
        """A table of what is there."""
        table = NodeTable()
        for one in self.nodes.values():
            table.set_node(one)
        for info, where in self.pods.values():
            table.add_pod(info, where)
        return table


def count(table: NodeTable, app: str) -> Any:
    return table.counts.counter(("app", app), lambda cls: cls.labels.get("app") == app)


def seen(table: NodeTable) -> dict[Hashable, Any]:
    """All that a plug-in can ask, by the names of nodes: rows and codes are the table's own business."""
    sets = list(table.taint_sets)
    found: dict[Hashable, Any] = {}
    for name, row in table.rows.items():
        assert table.present[row] and table.names[row] == name
        found[name] = {
            "unschedulable": bool(table.unschedulable[row]),
            "taints": sets[table.taints[row]],
            "allocatable": {key: int(column[row]) for key, column in table.allocatable.items() if column[row]},
            "requested": {key: int(column[row]) for key, column in table.requested.items() if column[row]},
            "nonzero": {key: int(column[row]) for key, column in table.nonzero.items()},
            "pods": (int(table.pod_count[row]), int(table.pods_allowed[row]), sorted(table.pods[row])),
            "labels": {key: _value(table.column(key), row) for key in KEYS},
            "counts": {app: int(count(table, app)[row]) for app in "ab"},
        }
    by_row = {row: name for name, row in table.rows.items()}
    found["images"] = {i: {by_row[row]: size for row, size in rows.items()} for i, rows in table.images.items()}
    found["ports"] = {p: {by_row[row]: users for row, users in rows.items()} for p, rows in table.ports.items()}
    found["claims"] = {c: {uid: by_row[row] for uid, row in users.items()} for c, users in table.claims.items()}
    found["groups"] = {
        key: {by_row[row]: number for row, number in group.rows.items()} for key, group in table.counts.groups.items()
    }
    found["total"] = (len(table), table.pod_total(), int(sum(table.pod_count)))
    found["free"] = [r for r in range(table.used) if r not in by_row and (table.present[r] or table.pod_count[r])]
    found["placed"] = {uid: table.node_of(f"default/{uid}") for uid in UIDS}
    found["columns"] = {name for name in table.requested if name not in ALWAYS}
    return found


def _value(column: LabelColumn, row: int) -> str | None:
    code = int(column.codes[row])
    return None if code == ABSENT else next(value for value, number in column.index.items() if number == code)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS)
def test_the_table_does_not_remember(operations: list[tuple[str, Any]]) -> None:
    history = History()
    for what, subject in operations:
        history.do(what, subject)
    assert seen(history.table) == seen(history.anew())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(OPERATIONS)
def test_what_has_changed_since_a_version_is_told(operations: list[tuple[str, Any]]) -> None:
    """Or that it is not known any more: whoever kept figures of a row asks for the rows that it must look at again."""
    history = History()
    versions = [(history.table.version, counted(history.table))]
    for what, subject in operations:
        history.do(what, subject)
        versions.append((history.table.version, counted(history.table)))
    now = counted(history.table)
    for version, before in versions:
        changed = history.table.changed_since(version)
        assert changed is None or {r for r in now if now[r] != before.get(r, (0, []))} <= set(changed)


def counted(table: NodeTable) -> dict[int, tuple[int, list[str]]]:
    return {row: (int(table.pod_count[row]), sorted(table.pods[row])) for row in range(table.used)}


def test_values_that_nodes_had_once_are_forgotten() -> None:
    """A label and a taint that say something new with each look, on a node that stays: the table stays as large as it is."""
    table = NodeTable()
    table.column("stamp")
    for number in range(1000):
        table.set_node(node("a", labels={"stamp": str(number)}, taints=[f"stamp={number}:NoSchedule"]))
        table.set_node(node("b", labels={"stamp": "same"}, taints=["x=y:NoSchedule"]))
    limit = SPARE_VALUES * table.capacity + 1
    assert len(table.taint_sets) <= limit and len(table.column("stamp").index) <= limit
    row_a, row_b = table.rows["a"], table.rows["b"]
    assert (_value(table.column("stamp"), row_a), _value(table.column("stamp"), row_b)) == ("999", "same")
    sets = list(table.taint_sets)
    assert [taint.value for taint in sets[table.taints[row_a]]] == ["999"]
    assert [taint.value for taint in sets[table.taints[row_b]]] == ["y"]


def test_resources_that_nobody_has_or_asks_for_any_more_are_forgotten() -> None:
    table, shapes = NodeTable(), Shapes()
    table.set_node(node("a", **{"example.com/a": "1"}))
    for number in range(50):
        info = shapes.info(pod(f"p{number}", {f"example.com/{number}": "1", "example.com/a": "1"}, node="a"))
        table.add_pod(info, "a")
        table.remove_pod(info.uid)
    assert set(table.requested) - set(ALWAYS) == {"example.com/a"}
    table.remove_node("a")
    assert set(table.requested) == set(table.allocatable) == set(ALWAYS)
