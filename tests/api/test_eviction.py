"""Evictions against disruption budgets, and the parts of a pod that have paths of their own, over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.apiserver.endpoints import eviction

from .test_services import Client, play

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
MERGE = "application/merge-patch+json"
READY = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}


def pod(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}], "terminationGracePeriodSeconds": 0, **spec},
    }


async def running_pod(client: Client, name: str, *, ready: bool = True) -> None:
    await client.send("POST", PODS, pod(name, nodeName="n"))
    status = {"phase": "Running", "conditions": [READY] if ready else []}
    code, _ = await client.send("PATCH", f"{PODS}/{name}/status", {"status": status}, MERGE)
    assert code == 200


async def budget(client: Client, name: str = "b", *, allowed: int = 1, spec: Any = None, **status: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}, **(spec or {})}}
    await client.send("POST", BUDGETS, body)
    numbers = {"observedGeneration": 1, "disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 1}
    code, _ = await client.send("PATCH", f"{BUDGETS}/{name}/status", {"status": {**numbers, **status}}, MERGE)
    assert code == 200


async def evict(client: Client, name: str, query: str = "", **options: Any) -> tuple[int, Any]:
    body: dict[str, Any] = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    if options:
        body["deleteOptions"] = options
    return await client.send("POST", f"{PODS}/{name}/eviction{query}", body)


def test_without_a_budget_the_pod_goes() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        code, answer = await evict(client, "a")
        assert (code, answer["status"]) == (201, "Success")
        assert await client.names(PODS) == set()
        code, _ = await evict(client, "none")
        assert code == 404

    play(case)


@pytest.mark.parametrize(
    ("api_version", "code"),
    [("policy/v1", 201), ("policy/v1beta1", 201), ("policy/v1alpha1", 400), ("apps/v1", 400), (None, 201)],
)
def test_evictions_of_an_older_version_are_taken(api_version: str | None, code: int) -> None:
    """kubectl drain before 1.22 sends policy/v1beta1, of which upstream takes nothing else any more."""

    async def case(client: Client) -> None:
        await running_pod(client, "a")
        body: dict[str, Any] = {"metadata": {"name": "a"}}
        if api_version is not None:
            body |= {"apiVersion": api_version, "kind": "Eviction"}
        assert (await client.send("POST", f"{PODS}/a/eviction", body))[0] == code
        assert await client.names(PODS) == (set() if code == 201 else {"a"})

    play(case)


def test_a_budget_gives_so_many_and_no_more() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        await running_pod(client, "b")
        await budget(client)
        code, _ = await evict(client, "a", "?dryRun=All")
        assert (code, await client.names(PODS)) == (201, {"a", "b"})
        code, _ = await evict(client, "a")
        assert (code, await client.names(PODS)) == (201, {"b"})
        _, found = await client.send("GET", f"{BUDGETS}/b")
        assert found["status"]["disruptionsAllowed"] == 0
        assert set(found["status"]["disruptedPods"]) == {"a"}
        assert [(c["type"], c["status"]) for c in found["status"]["conditions"]] == [("DisruptionAllowed", "False")]
        code, refused = await evict(client, "b")
        assert (code, refused["message"]) == (429, eviction.REFUSED)
        cause = refused["details"]["causes"][0]
        text = "The disruption budget b needs 1 healthy pods and has 2 currently"
        assert (cause["reason"], cause["message"]) == ("DisruptionBudget", text)

    play(case)


def test_a_budget_that_its_controller_has_not_seen() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        await budget(client, observedGeneration=0)
        code, refused = await evict(client, "a")
        assert (code, refused["details"]["retryAfterSeconds"]) == (429, 10)

    play(case)


def test_two_budgets_are_one_too_many() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        await budget(client, "b")
        await budget(client, "c")
        code, refused = await evict(client, "a")
        assert (code, refused["message"]) == (500, eviction.MORE_THAN_ONE)

    play(case)


@pytest.mark.parametrize(
    ("status", "spec", "code"),
    [
        ({"currentHealthy": 2, "desiredHealthy": 2}, {}, 201),  # the others are enough
        ({"currentHealthy": 1, "desiredHealthy": 2}, {}, 429),
        ({"currentHealthy": 1, "desiredHealthy": 2}, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, 201),
    ],
)
def test_a_pod_that_is_not_ready(status: Any, spec: Any, code: int) -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a", ready=False)
        await budget(client, allowed=0, spec=spec, **status)
        assert (await evict(client, "a"))[0] == code

    play(case)


def test_preconditions_and_names() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        code, _ = await evict(client, "a", preconditions={"uid": "other"})
        assert code == 409
        code, _ = await client.send("POST", f"{PODS}/a/eviction", {"metadata": {"name": "b"}})
        assert code == 400
        assert await client.names(PODS) == {"a"}

    play(case)


def test_a_pending_pod_needs_no_budget() -> None:
    async def case(client: Client) -> None:
        await client.send("POST", PODS, pod("a"))
        await budget(client, allowed=0)
        code, _ = await evict(client, "a")
        assert (code, await client.names(PODS)) == (201, set())

    play(case)


def test_ephemeral_containers_only_come() -> None:
    async def case(client: Client) -> None:
        await running_pod(client, "a")
        one = {"name": "debug", "image": "busybox"}
        path = f"{PODS}/a/ephemeralcontainers"
        strategic = "application/strategic-merge-patch+json"
        body = {"spec": {"ephemeralContainers": [one]}, "metadata": {"labels": {"x": "y"}}}
        code, made = await client.send("PATCH", path, body, strategic)
        assert (code, made["spec"]["ephemeralContainers"][0]["name"]) == (200, "debug")
        assert made["metadata"]["labels"] == {"app": "web"}
        code, refused = await client.send("PATCH", path, {"spec": {"ephemeralContainers": None}}, MERGE)
        assert (code, refused["details"]["causes"][0]["field"]) == (422, "spec.ephemeralContainers")
        code, refused = await client.send("PATCH", f"{PODS}/a", {"spec": {"ephemeralContainers": None}}, MERGE)
        assert (code, refused["details"]["causes"][0]["field"]) == (422, "spec")
        assert len((await client.send("GET", path))[1]["spec"]["ephemeralContainers"]) == 1
        assert (await client.send("DELETE", path))[0] == 405

    play(case)


def test_resources_in_place() -> None:
    async def case(client: Client) -> None:
        resources = {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
        await client.send("POST", PODS, pod("a", containers=[{"name": "c", "image": "i", "resources": resources}]))
        wanted = {"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}}
        containers = [{"name": "c", "image": "other", "resources": wanted}]
        strategic = "application/strategic-merge-patch+json"
        code, made = await client.send("PATCH", f"{PODS}/a/resize", {"spec": {"containers": containers}}, strategic)
        container = made["spec"]["containers"][0]
        assert (code, container["resources"], container["image"]) == (200, wanted, "i")
        assert made["metadata"]["generation"] == 2
        code, _ = await client.send("PATCH", f"{PODS}/a", {"spec": {"containers": containers}}, strategic)
        assert code == 200  # the image may change
        bad = [{"name": "c", "resources": {"requests": {"cpu": "1"}}}]
        code, _ = await client.send("PATCH", f"{PODS}/a", {"spec": {"containers": bad}}, strategic)
        assert code == 422  # resources may not, this way

    play(case)


def test_which_budgets_cover_a_pod() -> None:
    labelled = {"metadata": {"name": "a", "labels": {"app": "web"}}}
    budgets = [
        {"spec": {"selector": s}} for s in (None, {}, {"matchLabels": {"app": "web"}}, {"matchLabels": {"a": "b"}})
    ]
    assert eviction.covering(budgets, labelled) == budgets[1:3]  # an empty selector is everybody's since policy/v1
