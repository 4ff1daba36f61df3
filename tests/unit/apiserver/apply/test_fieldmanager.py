"""The rules of update and apply."""

from asyncio import run
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.api.wellknown import LAST_APPLIED_CONFIG_ANNOTATION
from pybernetes.apiserver.apply import fieldmanager, managed
from pybernetes.apiserver.apply.fieldmanager import Conflicts, Context
from pybernetes.apiserver.schema import compiled_type

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = compiled_type("io.k8s.api.core.v1.ConfigMap", "v1", "ConfigMap")


def context(seconds: int = 0) -> Context:
    return Context(SCHEMA.apply_node, "v1", SCHEMA.zero, (), NOW + timedelta(seconds=seconds))


def config_map(data: dict[str, str], entries: Any = None, **metadata: Any) -> dict[str, Any]:
    own = {"name": "a", **metadata}
    if entries is not None:
        own["managedFields"] = entries
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": own, "data": data}


def owners(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["manager"]: entry["fieldsV1"] for entry in entries}


def apply(live: Any, data: dict[str, str], manager: str, force: bool = False, seconds: int = 0) -> tuple[Any, Any]:
    exists = live is not None
    new, entries = run(
        fieldmanager.applied(context(seconds), live or SCHEMA.zero, config_map(data), manager, "", force, exists)
    )
    return (None if new is None else new.get("data")), entries


def test_create() -> None:
    entries = run(fieldmanager.created(context(), config_map({"k": "v"}, labels={"a": "b"}), "one"))
    assert entries == [
        {
            "manager": "one",
            "operation": "Update",
            "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z",
            "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:k": {}}, "f:metadata": {"f:labels": {".": {}, "f:a": {}}}},
        }
    ]


def test_update_takes_over_and_keeps_time_where_nothing_is_new() -> None:
    entries = run(fieldmanager.created(context(), config_map({"k": "v", "l": "w"}), "one"))
    live = config_map({"k": "v", "l": "w"}, entries)
    again = run(fieldmanager.updated(context(9), live, config_map({"k": "x", "l": "w"}), "one", "", False))
    assert again == entries  # it managed k before: neither fields nor time are news
    taken = run(fieldmanager.updated(context(9), live, config_map({"k": "x", "l": "w"}), "two", "", False))
    assert owners(taken) == {"one": {"f:data": {".": {}, "f:l": {}}}, "two": {"f:data": {"f:k": {}}}}
    removed = run(fieldmanager.updated(context(9), live, config_map({"l": "w"}), "two", "", False))
    assert owners(removed) == {"one": {"f:data": {".": {}, "f:l": {}}}}


def test_untracked_objects_stay_so() -> None:
    assert run(fieldmanager.updated(context(), config_map({}), config_map({"k": "v"}), "one", "", False)) == []
    entries = run(fieldmanager.created(context(), config_map({"k": "v"}), "one"))
    assert (
        run(fieldmanager.updated(context(), config_map({"k": "v"}, entries), config_map({"k": "w"}), "one", "", True))
        == []
    )


def test_subresources_have_their_own_entry() -> None:
    entries = run(fieldmanager.created(context(), config_map({"k": "v"}), "one"))
    found = run(
        fieldmanager.updated(context(), config_map({"k": "v"}, entries), config_map({"k": "w"}), "one", "status", False)
    )
    assert [(e["manager"], e.get("subresource"), e["fieldsV1"]) for e in found] == [
        ("one", None, {"f:data": {}}),
        ("one", "status", {"f:data": {"f:k": {}}}),
    ]


def test_apply_prunes_what_is_no_longer_applied() -> None:
    data, entries = apply(None, {"k": "v", "l": "w"}, "one")
    assert data == {"k": "v", "l": "w"}
    data, entries = apply(config_map(data, entries), {"k": "v"}, "one", seconds=5)
    assert data == {"k": "v"}
    assert owners(entries) == {"one": {"f:data": {"f:k": {}}}}
    assert entries[0]["time"] == "2026-01-01T00:00:05Z"


def test_apply_of_the_same_is_no_change() -> None:
    data, entries = apply(None, {"k": "v"}, "one")
    assert apply(config_map(data, entries), {"k": "v"}, "one", seconds=5) == (None, entries)


def test_shared_fields_are_not_pruned() -> None:
    data, entries = apply(None, {"k": "v"}, "one")
    _, entries = apply(config_map(data, entries), {"k": "v"}, "two")
    data, entries = apply(config_map(data, entries), {"l": "w"}, "one")
    assert data == {"k": "v", "l": "w"}
    assert owners(entries) == {"one": {"f:data": {"f:l": {}}}, "two": {"f:data": {"f:k": {}}}}


def test_conflicts_and_force() -> None:
    data, entries = apply(None, {"k": "v"}, "one")
    live = config_map(data, entries)
    with pytest.raises(Conflicts) as error:
        apply(live, {"k": "x"}, "two")
    assert str(error.value) == 'Apply failed with 1 conflict: conflict with "one": .data.k'
    assert error.value.causes() == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "one"', "field": ".data.k"}
    ]
    data, entries = apply(live, {"k": "x"}, "two", force=True)
    assert (data, owners(entries)) == ({"k": "x"}, {"two": {"f:data": {"f:k": {}}}})


def test_conflict_with_an_update_and_several() -> None:
    entries = run(fieldmanager.created(context(), config_map({"k": "v", "l": "w"}), "one"))
    with pytest.raises(Conflicts) as error:
        apply(config_map({"k": "v", "l": "w"}, entries), {"k": "x", "l": "y"}, "two")
    message = 'Apply failed with 2 conflicts: conflicts with "one" using v1:\n- .data.k\n- .data.l'
    assert str(error.value) == message


def test_client_side_apply_hands_over_to_kubectl() -> None:
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}'
    annotations = {LAST_APPLIED_CONFIG_ANNOTATION: last}
    entries = run(
        fieldmanager.created(context(), config_map({"k": "v"}, annotations=annotations), "kubectl-client-side-apply")
    )
    live = config_map({"k": "v"}, entries, annotations=annotations)
    with pytest.raises(Conflicts):
        apply(live, {"k": "x"}, "other")
    assert apply(live, {"k": "x"}, "kubectl")[0] == {"k": "x"}
    changed = {**live, "data": {"k": "edited"}}
    with pytest.raises(Conflicts):
        apply(changed, {"k": "x"}, "kubectl")


LAST = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}'


@pytest.mark.parametrize(
    ("annotation", "manager", "data", "after"),
    [
        (
            LAST,
            "kubectl",
            {"k": "x"},
            '{"apiVersion":"v1","data":{"k":"x"},"kind":"ConfigMap","metadata":{"name":"a"}}\n',
        ),
        (
            LAST,
            "kubectl",
            {"k": "v"},
            '{"apiVersion":"v1","data":{"k":"v"},"kind":"ConfigMap","metadata":{"name":"a"}}\n',
        ),
        (LAST, "kubectl", {"k": "<>"}, '"data":{"k":"\\u003c\\u003e"}'),
        (LAST, "kubectl", {"k": "x" * 250_000}, '"kind":"ConfigMap"'),
        (LAST, "kubectl", {"k": "x" * 263_000}, None),
        (LAST, "other", {"l": "x"}, LAST),
        ("", "kubectl", {"k": "x"}, ""),
        (None, "kubectl", {"k": "x"}, None),
    ],
)
def test_the_annotation_of_client_side_apply_follows_kubectl(
    annotation: str | None, manager: str, data: dict[str, str], after: str | None
) -> None:
    """The kind: what a client wrote for a way back is kept right by those who write after it, or goes."""
    annotations = {} if annotation is None else {LAST_APPLIED_CONFIG_ANNOTATION: annotation}
    live = config_map({"k": "v"}, annotations=annotations)
    config = config_map(data)
    config["metadata"].pop("annotations", None)
    new, _ = run(fieldmanager.applied(context(), live, config, manager, "", True, True))
    left = ((new or live)["metadata"].get("annotations") or {}).get(LAST_APPLIED_CONFIG_ANNOTATION)
    assert left == after if after is None or after.endswith("\n") or not after else after in left


def test_before_first_apply() -> None:
    _, entries = apply(config_map({"k": "v", "l": "w"}), {"k": "v"}, "one")
    assert owners(entries) == {
        "one": {"f:data": {"f:k": {}}},
        "before-first-apply": {"f:data": {".": {}, "f:k": {}, "f:l": {}}},
    }


def test_the_oldest_updates_are_merged() -> None:
    entries: list[dict[str, Any]] = run(fieldmanager.created(context(), config_map({"k0": "v"}), "m0"))
    data = {"k0": "v"}
    for number in range(1, 13):
        live = config_map(dict(data), entries)
        data[f"k{number}"] = "v"
        entries = run(fieldmanager.updated(context(number), live, config_map(dict(data)), f"m{number}", "", False))
    names = [entry["manager"] for entry in entries]
    assert len(names) == managed.MAX_UPDATE_MANAGERS
    assert owners(entries)["ancient-changes"] == {"f:data": {".": {}, "f:k0": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}}


@pytest.mark.parametrize(
    ("asked", "agent", "manager"),
    [("x", "kubectl/v1", "x"), ("", "kubectl/v1.2 (linux)", "kubectl"), ("", "a\x00b", "ab"), ("", "", "")],
)
def test_manager_name(asked: str, agent: str, manager: str) -> None:
    assert managed.manager_of(asked, agent) == manager


@pytest.mark.parametrize(
    ("entries", "reset"), [(None, False), ([], True), ([{}], True), ([{"manager": "a"}], False), ([{}, {}], False)]
)
def test_reset(entries: Any, reset: bool) -> None:
    assert managed.is_reset(entries) is reset
