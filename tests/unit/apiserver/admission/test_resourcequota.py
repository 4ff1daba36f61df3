"""Quotas: what counts, what is refused, and that many at once take no more than there is."""

import asyncio
import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import from_json
from pybernetes.apiserver.admission.quotausage import evaluator
from pybernetes.apiserver.admission.resourcequota import ResourceQuota
from pybernetes.apiserver.authentication.user import LOOPBACK
from pybernetes.apiserver.kinds.apps import deployment
from pybernetes.apiserver.kinds.core import persistentvolumeclaim, pod, service
from pybernetes.apiserver.resource import Resource
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, meta

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pod_usage(obj: Object) -> dict[str, Quantity]:
    return evaluator(pod.RESOURCE).usage(obj, NOW)


def service_usage(obj: Object) -> dict[str, Quantity]:
    return evaluator(service.RESOURCE).usage(obj, NOW)


def claim_usage(obj: Object) -> dict[str, Quantity]:
    return evaluator(persistentvolumeclaim.RESOURCE).usage(obj, NOW)


def in_scope(resource: Resource, obj: Object, scope: Object) -> bool:
    return evaluator(resource).in_scopes(obj, [from_json(scope, core.ScopedResourceSelectorRequirement)])


def a_pod(requests: dict[str, str] | None = None, limits: dict[str, str] | None = None, **spec: Any) -> Object:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"metadata": meta("p", "a"), "spec": {"containers": [{"name": "c", "resources": resources}], **spec}}


def quota(hard: dict[str, str], used: dict[str, str] | None = None, name: str = "q", **spec: Any) -> Object:
    zero = used if used is not None else dict.fromkeys(hard, "0")
    return {
        "metadata": meta(name, "a", resourceVersion="1"),
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": zero},
    }


class Quotas:
    """Keeps quotas and their resource versions, as the registry would."""

    def __init__(self, *quotas: Object) -> None:
        self.objects = Objects(*(("", "resourcequotas", one) for one in quotas))
        self.writes = 0
        self.meanwhile: Object | None = None  # what another server writes before the next write
        self.plugin = ResourceQuota(self.objects, self.write, VirtualClock(epoch=NOW))

    async def write(self, new: Object) -> Object:
        await asyncio.sleep(0)
        if self.meanwhile is not None:
            self.objects.put("", "resourcequotas", self.meanwhile)
            self.meanwhile = None
        have = self.objects.get("", "resourcequotas", "a", new["metadata"]["name"])
        assert have is not None
        if have["metadata"]["resourceVersion"] != new["metadata"]["resourceVersion"]:
            raise errors.conflict("", "resourcequotas", "q", "changed")
        written = copy.deepcopy(new)
        written["metadata"]["resourceVersion"] = str(int(new["metadata"]["resourceVersion"]) + 1)
        self.objects.put("", "resourcequotas", written)
        self.writes += 1
        return written

    def used(self, name: str = "q") -> dict[str, str]:
        found = self.objects.get("", "resourcequotas", "a", name)
        assert found is not None
        used: dict[str, str] = found["status"]["used"]
        return used

    async def ask(
        self, obj: Object, resource: Resource = pod.RESOURCE, old: Object | None = None, dry_run: bool = False
    ) -> str:
        operation: Any = "UPDATE" if old else "CREATE"
        asked = Attributes(LOOPBACK, operation, resource, "", "a", "p", obj, old, dry_run)
        try:
            waiting = self.plugin.validate(asked)
            if waiting is not None:
                await waiting
        except StatusError as error:
            return str(error).partition("is forbidden: ")[2] or str(error)
        return ""


def asked(quotas: Quotas, obj: Object, resource: Resource = pod.RESOURCE, **more: Any) -> str:
    return asyncio.run(quotas.ask(obj, resource, **more))


def test_counts_and_refuses() -> None:
    quotas = Quotas(quota({"pods": "2", "requests.cpu": "1"}))
    assert asked(quotas, a_pod({"cpu": "600m"})) == ""
    assert quotas.used() == {"pods": "1", "requests.cpu": "600m"}
    why = "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1"
    assert asked(quotas, a_pod({"cpu": "600m"})) == why
    assert quotas.used() == {"pods": "1", "requests.cpu": "600m"}


def test_what_is_counted_must_be_stated() -> None:
    quotas = Quotas(quota({"requests.cpu": "1", "limits.memory": "1Gi"}))
    why = "failed quota: q: must specify limits.memory for: c; requests.cpu for: c"
    assert asked(quotas, a_pod()) == why


def test_status_that_is_not_known_yet() -> None:
    quotas = Quotas(quota({"pods": "1"}, used={}))
    assert asked(quotas, a_pod()) == "status unknown for quota: q, resources: pods"


def test_a_dry_run_takes_nothing() -> None:
    quotas = Quotas(quota({"pods": "1"}))
    assert asked(quotas, a_pod(), dry_run=True) == ""
    assert (quotas.used(), quotas.writes) == ({"pods": "0"}, 0)


def test_all_quotas_must_hold() -> None:
    quotas = Quotas(quota({"pods": "5"}, name="wide"), quota({"pods": "0"}, name="narrow"))
    assert asked(quotas, a_pod()).startswith("exceeded quota: narrow")
    assert quotas.used("wide") == {"pods": "0"}


def test_any_kind_counts_as_objects() -> None:
    quotas = Quotas(quota({"count/deployments.apps": "1"}))
    made = {"metadata": meta("d", "a"), "spec": {}}
    assert [asked(quotas, made, deployment.RESOURCE)[:8] for _ in range(2)] == ["", "exceeded"]


def test_an_update_counts_the_difference() -> None:
    quotas = Quotas(quota({"requests.storage": "5Gi"}, {"requests.storage": "2Gi"}))

    def claim(size: str) -> Object:
        return {"metadata": meta("c", "a"), "spec": {"resources": {"requests": {"storage": size}}}}

    assert asked(quotas, claim("4Gi"), persistentvolumeclaim.RESOURCE, old=claim("2Gi")) == ""
    assert quotas.used() == {"requests.storage": "4Gi"}
    assert "requested: requests.storage=2Gi" in asked(
        quotas, claim("4Gi"), persistentvolumeclaim.RESOURCE, old=claim("2Gi")
    )


def test_a_resize_counts_and_another_update_does_not() -> None:
    quotas = Quotas(quota({"requests.cpu": "2"}, {"requests.cpu": "1"}))
    new, old = a_pod({"cpu": "2"}), a_pod({"cpu": "1"})
    assert asked(quotas, new, old=old) == ""
    assert quotas.used() == {"requests.cpu": "1"}
    resize = Attributes(LOOPBACK, "UPDATE", pod.RESOURCE, "resize", "a", "p", new, old)

    async def main() -> None:
        waiting = quotas.plugin.validate(resize)
        assert waiting is not None
        await waiting

    asyncio.run(main())
    assert quotas.used() == {"requests.cpu": "2"}


def test_many_at_once_take_no_more_than_there_is_and_share_writes() -> None:
    quotas = Quotas(quota({"pods": "70"}))

    async def main() -> list[str]:
        return await asyncio.gather(*(quotas.ask(a_pod()) for _ in range(100)))

    results = asyncio.run(main())
    assert (results.count(""), quotas.used()) == (70, {"pods": "70"})
    assert quotas.writes < 10


def test_another_server_s_count_is_seen() -> None:
    quotas = Quotas(quota({"pods": "1"}))
    quotas.meanwhile = quota({"pods": "1"}, {"pods": "1"})
    quotas.meanwhile["metadata"]["resourceVersion"] = "7"
    assert asked(quotas, a_pod()).startswith("exceeded quota")


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            pod_usage(a_pod({"cpu": "1", "example.com/gpu": "2"}, {"memory": "1Mi"}, overhead={"cpu": "1"})),
            {"pods": 1, "cpu": 2, "requests.cpu": 2, "requests.example.com/gpu": 2, "limits.memory": 1 << 20},
        ),
        (pod_usage({**a_pod({"cpu": "1"}), "status": {"phase": "Failed"}}), {"count/pods": 1}),
        (
            service_usage({"spec": {"type": "LoadBalancer", "ports": [{}, {}]}}),
            {"services": 1, "services.nodeports": 2, "services.loadbalancers": 1},
        ),
        (
            claim_usage(
                {
                    "metadata": meta("c"),
                    "spec": {"storageClassName": "x", "resources": {"requests": {"storage": "2"}}},
                }
            ),
            {"requests.storage": 2, "x.storageclass.storage.k8s.io/requests.storage": 2, "persistentvolumeclaims": 1},
        ),
    ],
)
def test_usage(usage: dict[str, Any], expected: dict[str, int]) -> None:
    assert {name: usage[name].value() for name in expected} == expected
    assert len(usage) >= len(expected)


@pytest.mark.parametrize(
    ("scope", "obj", "inside"),
    [
        ({"scopeName": "BestEffort"}, a_pod(), True),
        ({"scopeName": "NotBestEffort"}, a_pod({"cpu": "1"}), True),
        ({"scopeName": "Terminating"}, a_pod(activeDeadlineSeconds=1), True),
        ({"scopeName": "NotTerminating"}, a_pod(activeDeadlineSeconds=1), False),
        ({"scopeName": "PriorityClass", "operator": "In", "values": ["x"]}, a_pod(priorityClassName="x"), True),
        ({"scopeName": "PriorityClass", "operator": "NotIn", "values": ["x"]}, a_pod(priorityClassName="x"), False),
        ({"scopeName": "PriorityClass", "operator": "Exists"}, a_pod(), False),
        (
            {"scopeName": "CrossNamespacePodAffinity", "operator": "Exists"},
            a_pod(
                affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"namespaces": ["x"]}]}}
            ),
            True,
        ),
    ],
)
def test_scopes(scope: Object, obj: Object, inside: bool) -> None:
    assert in_scope(pod.RESOURCE, obj, scope) is inside
    assert not in_scope(service.RESOURCE, obj, scope)
