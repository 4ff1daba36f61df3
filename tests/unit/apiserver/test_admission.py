"""Admission plug-ins: what they fill in and refuse."""

from collections.abc import Iterable
from typing import Any, Literal

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD
from pybernetes.apiserver.priority import Priority
from pybernetes.apiserver.server import ADMISSION, admission_chain
from pybernetes.apiserver.serviceaccount import ServiceAccount
from pybernetes.apiserver.types import LOOPBACK, Attributes


class Objects:
    """A Reader over a dict of (group, resource, namespace, name)."""

    def __init__(self, *objects: tuple[str, str, dict[str, Any]]) -> None:
        self._objects = {(g, r, o["metadata"].get("namespace", ""), o["metadata"]["name"]): o for g, r, o in objects}

    def get(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self._objects.get((group, resource, namespace, name))

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[dict[str, Any]]:
        return [o for (g, r, n, _), o in self._objects.items() if (g, r) == (group, resource) and namespace in ("", n)]

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.get(group, resource, namespace, name)


def attributes(pod: dict[str, Any], operation: Literal["CREATE", "UPDATE"] = "CREATE") -> Attributes:
    return Attributes(LOOPBACK, operation, POD, "", "a", "p", pod, None)


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], **spec}}


def account(**fields: Any) -> tuple[str, str, dict[str, Any]]:
    return "", "serviceaccounts", {"metadata": {"name": "default", "namespace": "a"}, **fields}


def test_pod_gets_the_default_account_and_its_token() -> None:
    made = pod()
    ServiceAccount(Objects(account())).admit(attributes(made))
    spec = made["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert [next(iter(s)) for s in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    mount = {"name": volume["name"], "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    assert spec["containers"][0]["volumeMounts"] == [mount]


@pytest.mark.parametrize(
    ("owner", "asked", "mounted"),
    [
        ({}, {}, True),
        ({"automountServiceAccountToken": False}, {}, False),
        ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}, True),
    ],
)
def test_pod_then_account_decide_on_the_token(owner: dict[str, Any], asked: dict[str, Any], mounted: bool) -> None:
    made = pod(**asked)
    ServiceAccount(Objects(account(**owner))).admit(attributes(made))
    assert ("volumes" in made["spec"]) == mounted


def test_missing_account_is_forbidden() -> None:
    with pytest.raises(
        StatusError, match='error looking up service account a/default: serviceaccount "default" not found'
    ):
        ServiceAccount(Objects()).admit(attributes(pod()))


CLASS = {"metadata": {"name": "high"}, "value": 7, "preemptionPolicy": "Never"}
DEFAULT = {"metadata": {"name": "usual"}, "value": 3, "globalDefault": True}


@pytest.mark.parametrize(
    ("classes", "asked", "filled"),
    [
        ([], {}, {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}),
        ([DEFAULT], {}, {"priority": 3, "preemptionPolicy": "PreemptLowerPriority", "priorityClassName": "usual"}),
        ([CLASS], {"priorityClassName": "high"}, {"priority": 7, "preemptionPolicy": "Never"}),
        ([], {"priorityClassName": "system-node-critical"}, {"priority": 2_000_001_000}),
    ],
)
def test_priority_is_the_class_s(classes: list[Any], asked: dict[str, Any], filled: dict[str, Any]) -> None:
    made = pod(**asked)
    Priority(Objects(*(("scheduling.k8s.io", "priorityclasses", c) for c in classes))).admit(attributes(made))
    assert filled.items() <= made["spec"].items()


@pytest.mark.parametrize("asked", [{"priorityClassName": "none"}, {"priority": 5}])
def test_priority_refuses(asked: dict[str, Any]) -> None:
    with pytest.raises(StatusError, match="PriorityClass"):
        Priority(Objects()).admit(attributes(pod(**asked)))


def test_chain_keeps_its_order_and_names_what_is_unknown() -> None:
    chain = admission_chain(Objects(), list(reversed(ADMISSION)))
    assert [plugin.name for plugin in chain] == list(ADMISSION)
    with pytest.raises(ValueError, match="'Nothing' is not known"):
        admission_chain(Objects(), ["Nothing"])
