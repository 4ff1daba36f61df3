"""The garbage collector's graph: what an event makes of it, and what has to be looked at next."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pybernetes.client.metadata import FOREGROUND, ORPHAN, Metadata, Owner, Partial, Resource
from pybernetes.controllers.garbagecollector.controller import Delete, References, Release, plan, release_patch
from pybernetes.controllers.garbagecollector.graph import (
    AbsentOwners,
    Action,
    Attempt,
    Graph,
    Identity,
    Invalid,
    Node,
    Orphan,
    invalid_message,
)

MAPS = Resource("", "v1", "configmaps", "ConfigMap", True)
ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)


def ref(name: str, block: bool | None = None, kind: str = "ConfigMap", version: str = "v1") -> Owner:
    return Owner(version, kind, name, f"u-{name}", None, block)


def obj(
    name: str, *owners: Owner, namespace: str = "a", finalizers: tuple[str, ...] = (), deleting: bool = False
) -> Partial:
    deleted = "2026-01-01T00:00:00Z" if deleting else None
    return Partial(Metadata(name, namespace, f"u-{name}", "1", deleted, list(finalizers), list(owners)))


def told(actions: list[Action] | tuple[Action, ...]) -> list[str]:
    """Actions in short: attempt NAME."""
    return [f"{type(action).__name__.lower()} {action.node.name}" for action in actions]


def seen(graph: Graph, *objects: Partial, resource: Resource = MAPS) -> list[str]:
    return [text for one in objects for text in told(list(graph.observe(resource, one)))]


def test_an_owner_that_is_only_named_is_asked_about() -> None:
    graph = Graph()
    assert seen(graph, obj("d", ref("boss"))) == ["attempt boss"]
    boss = graph.get("u-boss")
    assert boss is not None and boss.virtual and boss.dependents == {graph.get("u-d")}
    assert seen(graph, obj("boss")) == []
    assert not boss.virtual


def test_a_removed_owner_is_a_reason_to_look_at_its_dependents_and_is_remembered() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", ref("boss")))
    assert told(list(graph.remove("u-boss"))) == ["attempt d"]
    assert Identity("v1", "ConfigMap", "a", "boss", "u-boss") in graph.absent
    assert graph.remove("u-boss") == ()
    assert told(list(graph.remove("u-d"))) == []
    assert len(graph) == 0


def test_an_object_without_dependents_is_not_remembered() -> None:
    graph = Graph()
    seen(graph, obj("x"))
    graph.remove("u-x")
    assert Identity("v1", "ConfigMap", "a", "x", "u-x") not in graph.absent


def test_foreground_attempts_dependents_first_and_the_owner_again_when_they_go() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", ref("boss", block=True)))
    waiting = obj("boss", finalizers=(FOREGROUND,), deleting=True)
    assert seen(graph, waiting) == ["attempt d", "attempt boss"]
    assert seen(graph, waiting) == []  # the transition counts, not the state
    boss = graph.get("u-boss")
    assert boss is not None and [node.name for node in boss.blocking()] == ["d"]
    assert told(list(graph.remove("u-d"))) == ["attempt boss"]
    assert boss.blocking() == []


def test_a_dependent_that_no_longer_blocks_lets_its_owner_go() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", ref("boss", block=True)))
    assert seen(graph, obj("d", ref("boss", block=False))) == ["attempt boss"]
    assert seen(graph, obj("d", ref("boss", block=True))) == []
    assert seen(graph, obj("d")) == ["attempt boss"]


def test_orphaning_comes_once() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", ref("boss")))
    orphaning = obj("boss", finalizers=(ORPHAN,), deleting=True)
    assert list(graph.observe(MAPS, orphaning)) == [Orphan(graph.get("u-boss"))]  # type: ignore[arg-type]  # it is there
    assert seen(graph, orphaning) == []


def test_owners_in_other_namespaces_are_told_where_they_were_seen() -> None:
    graph = Graph()
    seen(graph, obj("boss"))
    actions = list(graph.observe(MAPS, obj("d", ref("boss"), namespace="b")))
    node = graph.get("u-d")
    assert node is not None
    assert actions == [Invalid(node, "u-boss"), Attempt(node)]
    named = "[v1/ConfigMap, namespace: b, name: boss, uid: u-boss]"
    assert invalid_message(node, "u-boss") == f'ownerRef {named} does not exist in namespace "b"'


def test_a_virtual_owner_that_turns_up_elsewhere_makes_its_dependents_doubtful() -> None:
    graph = Graph()
    seen(graph, obj("d", ref("boss"), namespace="b"))
    assert seen(graph, obj("boss")) == ["invalid d", "attempt d"]
    assert graph.get("u-boss").namespace == "a"  # type: ignore[union-attr]  # it is there


def test_an_owner_of_the_cluster_is_no_mismatch() -> None:
    graph = Graph()
    role = ref("boss", kind="ClusterRole", version="rbac.authorization.k8s.io/v1")
    seen(graph, obj("boss", namespace=""), resource=ROLES)
    assert seen(graph, obj("d", role)) == []


def test_a_wrong_name_for_a_right_uid_is_looked_at() -> None:
    graph = Graph()
    seen(graph, obj("boss"))
    wrong = Owner("v1", "ConfigMap", "other", "u-boss")
    assert seen(graph, obj("d", wrong)) == ["attempt d"]


def test_a_virtual_owner_that_does_not_exist_goes() -> None:
    graph = Graph()
    seen(graph, obj("d", ref("boss")))
    boss = graph.get("u-boss")
    assert boss is not None
    assert told(list(graph.vanished(boss.identity))) == ["attempt d"]
    assert graph.get("u-boss") is None and boss.identity in graph.absent


def test_dependents_that_disagree_about_a_virtual_owner_are_asked_about_one_by_one() -> None:
    graph = Graph()
    seen(graph, obj("d", ref("boss")), obj("e", Owner("v1", "Secret", "boss", "u-boss")))
    boss = graph.get("u-boss")
    assert boss is not None and boss.kind == "ConfigMap"
    assert told(list(graph.vanished(boss.identity))) == ["attempt d", "attempt boss"]
    assert boss.kind == "Secret" and graph.get("u-boss") is boss
    graph.remove("u-d")
    assert told(list(graph.vanished(boss.identity))) == ["attempt e"]
    assert graph.get("u-boss") is None


def test_a_seen_owner_is_not_removed_for_another_identity() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", Owner("v1", "Secret", "boss", "u-boss")))
    wrong = Identity("v1", "Secret", "a", "boss", "u-boss")
    assert told(list(graph.vanished(wrong))) == ["attempt d"]
    assert graph.get("u-boss") is not None and wrong in graph.absent


def test_siblings_share_their_references() -> None:
    graph = Graph()
    seen(graph, obj("boss"), obj("d", ref("boss")), obj("e", ref("boss")))
    assert graph.get("u-d").owners is graph.get("u-e").owners  # type: ignore[union-attr]  # both are there


def test_the_absent_are_forgotten_in_order() -> None:
    absent = AbsentOwners(2)
    first, second, third = (Identity("v1", "ConfigMap", "a", name, name) for name in "xyz")
    for identity in (first, second, first, third):
        absent.add(identity)
    assert first in absent and second not in absent and third in absent


NAMES = st.sampled_from("abcde")
EVENTS = st.tuples(NAMES, st.lists(NAMES, max_size=3, unique=True), st.booleans())


@given(st.lists(EVENTS, max_size=40))
def test_dependents_and_owners_always_mirror_each_other(events: list[tuple[str, list[str], bool]]) -> None:
    graph = Graph()
    gone: set[str] = set()  # a uid never comes back
    for name, owners, removed in events:
        if removed:
            graph.remove(f"u-{name}")
            gone.add(name)
        elif name not in gone:
            graph.observe(MAPS, obj(name, *(ref(owner) for owner in owners if owner != name)))
    nodes = [node for node in map(graph.get, (f"u-{name}" for name in "abcde")) if node is not None]
    for node in nodes:
        named = {owner.uid for owner in node.owners}
        for other in nodes:
            if other.name not in gone:
                assert (node in (other.dependents or ())) == (other.uid in named)


def test_plan() -> None:
    node, waits = Node(Identity("v1", "ConfigMap", "a", "d", "u-d")), ref("w")
    with_dependents = Node(Identity("v1", "ConfigMap", "a", "d", "u-d"))
    with_dependents.dependents = {node}
    latest = obj("d")
    assert plan(node, latest, References(solid=[ref("x")])) is None
    assert plan(node, latest, References([ref("x")], [ref("y")], [waits])) == Release(["u-y", "u-w"])
    assert plan(node, latest, References(dangling=[ref("y")])) == Delete("Background")
    assert plan(node, latest, References(waiting=[waits])) == Delete("Background")
    assert plan(with_dependents, latest, References(waiting=[waits])) == Delete("Foreground")
    node.deleting_dependents = True
    assert plan(with_dependents, latest, References(waiting=[waits])) == Delete("Foreground", unblock=True)
    assert plan(node, obj("d", finalizers=(ORPHAN,)), References(dangling=[waits])) == Delete("Orphan")
    assert plan(node, obj("d", finalizers=(FOREGROUND,)), References(dangling=[waits])) == Delete("Foreground")


def test_release_patch() -> None:
    assert release_patch("u-d", ["x"]) == {
        "metadata": {"ownerReferences": [{"$patch": "delete", "uid": "x"}], "uid": "u-d"}
    }
