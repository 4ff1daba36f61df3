"""Admission plug-ins: what they fill in and refuse."""

from collections.abc import Callable
from typing import Any, Literal

import pytest

from pybernetes.aio.clock import RealClock
from pybernetes.api.errors import StatusError
from pybernetes.apiserver.admission.chain import ADMISSION, Services, admission_chain
from pybernetes.apiserver.admission.namespacelifecycle import NamespaceLifecycle
from pybernetes.apiserver.admission.priority import Priority
from pybernetes.apiserver.admission.serviceaccount import ServiceAccount
from pybernetes.apiserver.authentication.user import LOOPBACK
from pybernetes.apiserver.authorization.modes import AlwaysAllow, Authorizers
from pybernetes.apiserver.kinds.core.namespace import RESOURCE as NAMESPACE
from pybernetes.apiserver.kinds.core.pod import RESOURCE as POD
from pybernetes.apiserver.types import Attributes

from ..fakes import Objects, awaited


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


class Meanwhile(RealClock):
    """A sleep takes no time; something happens in it."""

    def __init__(self, happens: Callable[[], None]) -> None:
        self._happens = happens

    async def sleep(self, seconds: float) -> None:
        self._happens()


def nothing() -> None:
    """Happens."""


def test_missing_account_is_forbidden() -> None:
    with pytest.raises(
        StatusError, match='error looking up service account a/default: serviceaccount "default" not found'
    ):
        awaited(ServiceAccount(Objects(), clock=Meanwhile(nothing)).admit(attributes(pod())))


def test_pod_waits_for_the_default_account() -> None:
    objects, made = Objects(), pod()

    awaited(ServiceAccount(objects, clock=Meanwhile(lambda: objects.put(*account()))).admit(attributes(made)))
    assert made["spec"]["volumes"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"serviceAccountName": "s"}, "a mirror pod may not reference service accounts"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}, "a mirror pod may not reference secrets"),
    ],
)
def test_mirror_pods_use_nothing_of_the_server(spec: dict[str, Any], message: str) -> None:
    mirror = pod(**spec)
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    with pytest.raises(StatusError, match=message):
        ServiceAccount(Objects(account())).validate(attributes(mirror))
    assert "serviceAccount" not in mirror["spec"]


def test_secrets_that_an_account_does_not_list() -> None:
    enforcing = account(secrets=[{"name": "own"}])
    enforcing[2]["metadata"]["annotations"] = {"kubernetes.io/enforce-mountable-secrets": "true"}
    plugin = ServiceAccount(Objects(enforcing))
    plugin.validate(attributes(pod(volumes=[{"name": "v", "secret": {"secretName": "own"}}])))
    with pytest.raises(StatusError, match=r'volume with secret\.secretName="other" is not allowed'):
        plugin.validate(attributes(pod(volumes=[{"name": "v", "secret": {"secretName": "other"}}])))


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


def services() -> Services:
    async def write(quota: dict[str, Any]) -> dict[str, Any]:
        return quota

    async def provide(name: str) -> None:
        raise AssertionError(name)

    return Services(
        reader=Objects(), authorizers=Authorizers([AlwaysAllow()]), write_quota=write, provide_namespace=provide
    )


def test_chain_keeps_its_order_and_names_what_is_unknown() -> None:
    chain = admission_chain(services(), list(reversed(ADMISSION)))
    names = [name for name in ADMISSION if name != "ResourceQuota"]
    assert [plugin.name for plugin in chain] == [*names, "RBACEscalation", "ResourceQuota"]
    with pytest.raises(ValueError, match="'Nothing' is not known"):
        admission_chain(services(), ["Nothing"])


@pytest.mark.parametrize(
    ("namespace", "words"),
    [
        ({"metadata": {"name": "a"}}, ""),
        ({"metadata": {"name": "a"}, "status": {"phase": "Terminating"}}, "because it is being terminated"),
        ({"metadata": {"name": "b"}}, 'namespaces "a" not found'),
    ],
)
def test_namespaces_that_take_nothing_new(namespace: dict[str, Any], words: str) -> None:
    plugin = NamespaceLifecycle(Objects(("", "namespaces", namespace)))
    if not words:
        awaited(plugin.admit(attributes(pod())))
        return
    with pytest.raises(StatusError, match=words):
        awaited(plugin.admit(attributes(pod())))


def test_the_system_s_namespaces_stay() -> None:
    asked = Attributes(LOOPBACK, "DELETE", NAMESPACE, "", "", "default", None, {})
    with pytest.raises(StatusError, match="this namespace may not be deleted"):
        awaited(NamespaceLifecycle(Objects()).admit(asked))
