"""Parts of ours on a server of 1.20: kinds that it has in an older version alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.api.types import batch_v1, discovery_v1, meta_v1, policy_v1
from pybernetes.client import older
from pybernetes.client.rest import RESTClient
from pybernetes.client.types import WatchEvent
from pybernetes.wire.http import Request, Response

from .test_rest import body, run

SLICES = older.OLDER["discovery.k8s.io/v1", "EndpointSlice"]
BUDGETS = older.OLDER["policy/v1", "PodDisruptionBudget"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"addresses": ["1.2.3.4"]}, {"addresses": ["1.2.3.4"]}),
        (
            {"topology": {"kubernetes.io/hostname": "n", "topology.kubernetes.io/zone": "z", "x": "y"}},
            {"nodeName": "n", "zone": "z", "deprecatedTopology": {"x": "y"}},
        ),
        ({"topology": {"kubernetes.io/hostname": "n"}}, {"nodeName": "n"}),
    ],
)
def test_where_endpoints_are(old: Any, new: Any) -> None:
    one, other = ({"kind": "EndpointSlice", "endpoints": [endpoint]} for endpoint in (old, new))
    received = older.as_received(SLICES, "discovery.k8s.io/v1", one)
    assert received == {**other, "apiVersion": "discovery.k8s.io/v1"}
    again = older.as_received(SLICES, "discovery.k8s.io/v1", older.as_sent(SLICES, received))
    assert again == received


@pytest.mark.parametrize(
    ("selector", "now"),
    [({}, None), ({"matchLabels": {}}, None), ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}})],
)
def test_whom_an_old_budget_covers(selector: Any, now: Any) -> None:
    listed = older.as_received(BUDGETS, "policy/v1", {"items": [{"spec": {"selector": selector}}], "metadata": {}})
    assert listed["items"][0]["spec"].get("selector") == now
    assert (listed["apiVersion"], listed["items"][0]["apiVersion"]) == ("policy/v1", "policy/v1")


def test_patches_are_sent_as_they_are() -> None:
    assert older.as_sent(BUDGETS, [{"op": "test"}]) == [{"op": "test"}]
    assert older.as_sent(BUDGETS, {"status": {}}) == {"status": {}}
    assert older.as_sent(BUDGETS, {"apiVersion": "policy/v1"}) == {"apiVersion": "policy/v1beta1"}


class Server:
    """Has budgets, cron jobs and jobs in `versions`, but none of `lacking`; notes what is asked."""

    def __init__(self, *versions: str, lacking: tuple[str, str] = ("", "")) -> None:
        self.versions, self.asked, self.lacking = list(versions), list[str](), lacking
        self.sent: list[Any] = []

    async def __call__(self, request: Request) -> Response:
        path = request.raw_path.decode()
        version = "/".join(path.split("/")[2:4])
        self.asked.append(f"{request.method} {path}")
        if request.body:
            self.sent.append(json.loads(request.body))
        if path.count("/") == 3 and version in self.versions:
            kinds = ("PodDisruptionBudget", "CronJob", "Job")
            return body({"resources": [{"kind": k} for k in kinds if (version, k) != self.lacking]})
        if version not in self.versions:
            status = {"kind": "Status", "code": 404, "message": "the server could not find the requested resource"}
            return body({**status, "details": {}}, 404)
        if path.endswith("/none"):
            return body({"kind": "Status", "code": 404, "message": "not found", "details": {"name": "none"}}, 404)
        if b"watch" in request.query:
            event = {
                "type": "ADDED",
                "object": {"apiVersion": version, "metadata": {"name": "a"}, "spec": {"selector": {}}},
            }
            return Response(200, [("Content-Type", "application/json")], json.dumps(event).encode() + b"\n")
        one = {"apiVersion": version, "metadata": {"name": "a", "namespace": "n"}, "spec": {"selector": {}}}
        if request.method == "GET" and path.count("/") < 7:
            return body({"metadata": {"resourceVersion": "1"}, "items": [one]})
        return body(one)


def test_budgets_of_an_older_server() -> None:
    server = Server("policy/v1beta1")

    async def use(client: RESTClient) -> None:
        listed = await client.list(policy_v1.PodDisruptionBudget)
        assert (listed.items[0].api_version, listed.items[0].spec.selector) == ("policy/v1", None)
        asked = len(server.asked)
        await client.list(policy_v1.PodDisruptionBudget)
        assert server.asked[asked:] == ["GET /apis/policy/v1beta1/poddisruptionbudgets"]
        async for event in client.watch(policy_v1.PodDisruptionBudget, resource_version="1"):
            assert isinstance(event, WatchEvent)
            assert (event.object.api_version, event.object.spec.selector) == ("policy/v1", None)
        budget = listed.items[0]
        await client.update(budget, "status")
        await client.create(budget)
        await client.patch(policy_v1.PodDisruptionBudget, "a", "n", {"status": {}})
        await client.delete(policy_v1.PodDisruptionBudget, "a", "n")
        assert {one.split(" /apis/")[1].split("/")[1] for one in server.asked[asked:]} == {"v1beta1"}
        assert [one.get("apiVersion") for one in server.sent] == ["policy/v1beta1", "policy/v1beta1", None, "v1"]

    run(server, use)


def test_a_server_that_is_upgraded_is_asked_anew() -> None:
    server = Server("policy/v1beta1")

    async def use(client: RESTClient) -> None:
        await client.list(policy_v1.PodDisruptionBudget)
        server.versions = ["policy/v1"]
        await client.list(policy_v1.PodDisruptionBudget)
        assert server.asked[-1] == "GET /apis/policy/v1/poddisruptionbudgets"

    run(server, use)


def test_what_is_not_there_is_not_looked_for_twice() -> None:
    """An object that is missing is no kind that is missing; nor is a kind that no version of the server has."""
    server = Server("policy/v1")

    async def use(client: RESTClient) -> None:
        with pytest.raises(StatusError):
            await client.get(policy_v1.PodDisruptionBudget, "none", "n")
        assert len(server.asked) == 1
        with pytest.raises(StatusError):
            await client.list(batch_v1.CronJob)
        assert server.asked[1:] == ["GET /apis/batch/v1/cronjobs", "GET /apis/batch/v1", "GET /apis/batch/v1beta1"]
        with pytest.raises(StatusError):
            await client.list(discovery_v1.EndpointSlice)

    run(server, use)


def test_owners_are_named_as_the_server_has_them() -> None:
    server = Server("batch/v1beta1")

    async def use(client: RESTClient) -> None:
        await client.list(batch_v1.CronJob)
        server.versions = ["batch/v1", "batch/v1beta1"]  # jobs there, which are of v1 ever since
        owner = meta_v1.OwnerReference(api_version="batch/v1", kind="CronJob", name="c", uid="u")
        job = batch_v1.Job(metadata=meta_v1.ObjectMeta(name="j", namespace="n", owner_references=[owner]))
        await client.create(job)
        (sent,) = server.sent
        assert sent["metadata"]["ownerReferences"][0]["apiVersion"] == "batch/v1beta1"
        assert (sent["apiVersion"], owner.api_version) == ("batch/v1", "batch/v1")

    run(server, use)


@pytest.mark.parametrize(
    ("lacking", "named", "looks"),
    [(("batch/v1", "CronJob"), "batch/v1beta1", 2), (("", ""), "batch/v1", 1)],
)
def test_owners_that_another_client_reads_are_named_as_the_server_has_them(
    lacking: tuple[str, str], named: str, looks: int
) -> None:
    """A controller posts with credentials of its own and sees its objects by the manager's: it has asked for no cron job yet.

    An owner in a version that is not served is one that the garbage collector cannot look at: what it owns was never deleted.
    """
    server = Server("batch/v1", "batch/v1beta1", lacking=lacking)

    async def use(client: RESTClient) -> None:
        owner = meta_v1.OwnerReference(api_version="batch/v1", kind="CronJob", name="c", uid="u")
        job = batch_v1.Job(metadata=meta_v1.ObjectMeta(name="j", namespace="n", owner_references=[owner]))
        for _ in range(2):
            await client.create(job)
        assert [one["metadata"]["ownerReferences"][0]["apiVersion"] for one in server.sent] == [named] * 2
        assert len([one for one in server.asked if one.startswith("GET")]) == looks  # at the first only

    run(server, use)
