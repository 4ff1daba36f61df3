"""What who watches is told of deletions, and what who deletes is answered, over HTTP."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .test_services import Client, play

PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


async def told(client: Client, path: str, version: str) -> list[tuple[str, Any]]:
    """(event, object) of all changes after the version."""
    lines = (await client.text(f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=1")).splitlines()
    return [(event["type"], event["object"]) for event in map(json.loads, lines)]


async def pod(client: Client, name: str, **spec: Any) -> dict[str, Any]:
    finalizers = spec.pop("finalizers", [])
    body = {
        "metadata": {"name": name, "finalizers": finalizers},
        "spec": {"containers": [{"name": "c", "image": "i"}], **spec},
    }
    code, made = await client.send("POST", PODS, body)
    assert code == 201, made
    return dict(made)


def marks(obj: Any) -> tuple[bool, Any]:
    """Whether there is a time of deletion, and the grace period."""
    metadata = obj["metadata"]
    return "deletionTimestamp" in metadata, metadata.get("deletionGracePeriodSeconds")


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ({}, None),  # on no node
        ({"nodeName": "n"}, {"gracePeriodSeconds": 0}),  # kubectl delete --force
        ({"nodeName": "n", "terminationGracePeriodSeconds": 0}, None),
        ({"terminationGracePeriodSeconds": 600}, {"gracePeriodSeconds": 60}),
        ({"nodeName": "n"}, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}),
    ],
)
def test_a_pod_is_marked_before_it_goes(spec: Any, options: Any) -> None:
    """Every way of grace 0: a watcher is told of the mark first, and both events carry it."""

    async def case(client: Client) -> None:
        made = await pod(client, "p", **spec)
        code, answer = await client.send("DELETE", f"{PODS}/p", options)
        assert (code, answer["kind"], marks(answer)) == (200, "Pod", (True, 0))
        events = await told(client, PODS, made["metadata"]["resourceVersion"])
        assert [(kind, marks(obj)) for kind, obj in events] == [("MODIFIED", (True, 0)), ("DELETED", (True, 0))]
        versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
        assert versions[0] < versions[1] == int(answer["metadata"]["resourceVersion"])

    play(case)


def test_a_second_deletion_may_only_be_sooner() -> None:
    async def case(client: Client) -> None:
        made = await pod(client, "p", nodeName="n")
        answers = []
        for seconds in (30, 60, 5, 0):
            _, answer = await client.send("DELETE", f"{PODS}/p", {"gracePeriodSeconds": seconds})
            answers.append(marks(answer))
        assert answers == [(True, 30), (True, 30), (True, 5), (True, 0)]
        events = await told(client, PODS, made["metadata"]["resourceVersion"])
        shown = [(kind, marks(obj)[1]) for kind, obj in events]
        assert shown == [("MODIFIED", 30), ("MODIFIED", 5), ("MODIFIED", 0), ("DELETED", 0)]

    play(case)


def test_finalizers_hold_a_pod_of_no_grace() -> None:
    async def case(client: Client) -> None:
        made = await pod(client, "p", finalizers=["example.com/a"])
        _, answer = await client.send("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
        assert marks(answer) == (True, 0)
        patch = {"metadata": {"finalizers": None}}
        await client.send("PATCH", f"{PODS}/p", patch, "application/merge-patch+json")
        events = await told(client, PODS, made["metadata"]["resourceVersion"])
        assert [(kind, marks(obj)) for kind, obj in events] == [("MODIFIED", (True, 0)), ("DELETED", (True, 0))]

    play(case)


@pytest.mark.parametrize("of", ["uid", "resourceVersion"])
def test_preconditions_are_of_before_both_steps(of: str) -> None:
    async def case(client: Client) -> None:
        made = await pod(client, "p", nodeName="n")
        options = {"gracePeriodSeconds": 0, "preconditions": {of: made["metadata"][of]}}
        wrong = {"gracePeriodSeconds": 0, "preconditions": {of: "1"}}
        code, answer = await client.send("DELETE", f"{PODS}/p", wrong)
        assert (code, answer["reason"]) == (409, "Conflict")
        assert (await client.send("DELETE", f"{PODS}/p", options))[0] == 200
        assert await client.names(PODS) == set()

    play(case)


def test_other_kinds_go_at_once_and_unmarked() -> None:
    """A ConfigMap, and a Service, whose deletion answers the object; dry runs leave everything."""

    async def case(client: Client) -> None:
        _, made = await client.send("POST", CONFIG_MAPS, {"metadata": {"name": "c"}})
        await client.send("DELETE", f"{CONFIG_MAPS}/c?dryRun=All")
        await client.send("DELETE", f"{CONFIG_MAPS}/c", {"gracePeriodSeconds": 30})
        events = await told(client, CONFIG_MAPS, made["metadata"]["resourceVersion"])
        assert [(kind, marks(obj)) for kind, obj in events] == [("DELETED", (False, None))]
        _, service = await client.create("s")
        _, answer = await client.send("DELETE", "/api/v1/namespaces/default/services/s")
        assert (answer["kind"], marks(answer)) == ("Service", (False, None))
        assert int(answer["metadata"]["resourceVersion"]) > int(service["metadata"]["resourceVersion"])
        made = await pod(client, "p", nodeName="n")
        _, answer = await client.send("DELETE", f"{PODS}/p?dryRun=All&gracePeriodSeconds=0")
        assert marks(answer) == (True, 0)
        dry = {"dryRun": ["All"], "gracePeriodSeconds": 0}  # beside a body the query is not read
        _, answer = await client.send("DELETE", f"{PODS}/p", dry)
        assert marks(answer) == (True, 0)
        assert await told(client, PODS, made["metadata"]["resourceVersion"]) == []

    play(case)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"orphanDependents": False}, 202),
        ({"orphanDependents": True}, 200),
        ({"propagationPolicy": "Background"}, 200),
        ({"propagationPolicy": "Foreground"}, 200),
        ({}, 200),
    ],
)
def test_what_is_not_gone_yet_is_accepted_where_one_asks_the_old_way(options: Any, code: int) -> None:
    """A pod in its grace period, an object that finalizers hold; what is gone at once is 200 in any case."""

    async def case(client: Client) -> None:
        await pod(client, "p", nodeName="n")
        held = {"metadata": {"name": "c", "finalizers": ["example.com/a"]}}
        await client.send("POST", CONFIG_MAPS, held)
        for path in (f"{PODS}/p", f"{CONFIG_MAPS}/c"):
            got, answer = await client.send("DELETE", path, options)
            assert (got, "deletionTimestamp" in answer["metadata"]) == (code, True)
        await client.send("POST", CONFIG_MAPS, {"metadata": {"name": "d"}})
        if options.get("orphanDependents") is False:
            assert (await client.send("DELETE", f"{CONFIG_MAPS}/d", options))[0] == 200

    play(case)


@pytest.mark.parametrize(
    ("query", "options", "fields"),
    [
        ("?dryRun=Foo", None, ["dryRun"]),
        ("?dryRun=", None, ["dryRun"]),
        ("", {"dryRun": ["All", "all"]}, ["dryRun"]),
        ("", {"dryRun": [""], "propagationPolicy": "Never"}, ["propagationPolicy", "dryRun"]),
        (
            "",
            {"dryRun": ["x"], "orphanDependents": True, "propagationPolicy": "Orphan"},
            ["propagationPolicy", "dryRun"],
        ),
    ],
)
@pytest.mark.parametrize("path", [f"{CONFIG_MAPS}/a", CONFIG_MAPS])
def test_options_that_nobody_understands_delete_nothing(path: str, query: str, options: Any, fields: list[str]) -> None:
    """All that is wrong is told at once, of one object and of many; a dry run by another name is none, and no deletion."""

    async def story(client: Client) -> None:
        await client.send("POST", CONFIG_MAPS, {"metadata": {"name": "a"}})
        code, refused = await client.send("DELETE", path + query, options)
        assert (code, [cause["field"] for cause in refused["details"]["causes"]]) == (422, fields), refused
        assert (await client.send("GET", f"{CONFIG_MAPS}/a"))[0] == 200

    play(story)


@pytest.mark.parametrize(("method", "path"), [("POST", CONFIG_MAPS), ("PUT", f"{CONFIG_MAPS}/a")])
def test_an_empty_dry_run_is_none(method: str, path: str) -> None:
    async def story(client: Client) -> None:
        code, refused = await client.send(method, f"{path}?dryRun=", {"metadata": {"name": "a"}})
        assert code == 422
        assert 'dryRun: Unsupported value: [""]: supported values: "All"' in refused["message"]

    play(story)


def test_a_grace_period_beyond_all_time() -> None:
    """As Go's durations run over: nothing fails, and nothing is dated beyond what can be written."""

    async def story(client: Client) -> None:
        for number, period in enumerate((2**62, 2**63 - 1, 9223372037)):
            await pod(client, f"a{number}", nodeName="n")
            code, gone = await client.send("DELETE", f"{PODS}/a{number}", {"gracePeriodSeconds": period})
            assert (code, marks(gone)) == (200, (True, period))

    play(story)
