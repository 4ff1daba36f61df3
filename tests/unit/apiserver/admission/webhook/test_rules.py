"""Which requests the rules of a webhook lead to it."""

from typing import Any

import pytest

from pybernetes.apiserver.admission.webhook import rules
from pybernetes.apiserver.admission.webhook.rules import Rule
from pybernetes.apiserver.admission.webhook.source import VALIDATING, Source
from pybernetes.apiserver.kinds import RESOURCES

from ...fakes import Objects, meta

BY_NAME = {(r.group, r.version, r.name): r for r in RESOURCES}
PODS, NODES, NAMESPACES = (BY_NAME["", "v1", name] for name in ("pods", "nodes", "namespaces"))
DEPLOYMENTS = BY_NAME["apps", "v1", "deployments"]
HPA1, HPA2 = (BY_NAME["autoscaling", version, "horizontalpodautoscalers"] for version in ("v1", "v2"))


def rule(
    resources: list[str], groups: str = "*", versions: str = "*", operations: str = "*", scope: str = "*"
) -> dict[str, Any]:
    return {
        "operations": [operations],
        "apiGroups": [groups],
        "apiVersions": [versions],
        "resources": resources,
        "scope": scope,
    }


@pytest.mark.parametrize(
    ("given", "resource", "subresource", "operation", "matches"),
    [
        (rule(["pods"]), PODS, "", "CREATE", True),
        (rule(["pods"]), PODS, "status", "UPDATE", False),
        (rule(["pods/status"]), PODS, "status", "UPDATE", True),
        (rule(["pods/status"]), PODS, "", "UPDATE", False),
        (rule(["pods/*"]), PODS, "", "UPDATE", True),
        (rule(["pods/*"]), PODS, "exec", "CONNECT", True),
        (rule(["*"]), PODS, "", "CREATE", True),
        (rule(["*"]), PODS, "exec", "CONNECT", False),
        (rule(["*/status"]), DEPLOYMENTS, "status", "UPDATE", True),
        (rule(["*/*"]), PODS, "exec", "CONNECT", True),
        (rule(["*/*"]), NODES, "", "DELETE", True),
        (rule(["nodes", "pods"]), PODS, "", "DELETE", True),
        (rule(["nodes"]), PODS, "", "DELETE", False),
        (rule(["pods"], operations="DELETE"), PODS, "", "DELETE", True),
        (rule(["pods"], operations="DELETE"), PODS, "", "CREATE", False),
        (rule(["pods"], groups=""), PODS, "", "CREATE", True),
        (rule(["pods"], groups="apps"), PODS, "", "CREATE", False),
        (rule(["deployments"], versions="v1"), DEPLOYMENTS, "", "CREATE", True),
        (rule(["deployments"], versions="v1beta1"), DEPLOYMENTS, "", "CREATE", False),
        (rule(["*"], scope="Namespaced"), PODS, "", "CREATE", True),
        (rule(["*"], scope="Namespaced"), NODES, "", "CREATE", False),
        (rule(["*"], scope="Namespaced"), NAMESPACES, "", "CREATE", False),
        (rule(["*"], scope="Cluster"), NAMESPACES, "", "CREATE", True),
        (rule(["*"], scope="Cluster"), PODS, "", "CREATE", False),
    ],
)
def test_rules(given: Any, resource: Any, subresource: str, operation: str, matches: bool) -> None:
    assert Rule.read(given).matches(resource, subresource, operation) is matches


def test_equivalents_are_other_versions_of_the_same_objects() -> None:
    assert rules.equivalents(HPA1, "", RESOURCES) == [HPA2]
    assert rules.equivalents(HPA1, "status", RESOURCES) == [HPA2]
    assert rules.equivalents(HPA1, "scale", RESOURCES) == []
    assert rules.equivalents(PODS, "", RESOURCES) == []


def test_the_requests_own_version_comes_first_then_earlier_rules() -> None:
    first, second = (Rule.read(rule(["horizontalpodautoscalers"], versions=version)) for version in ("v1", "v2"))
    assert rules.matched([first, second], HPA2, "", "CREATE", [HPA1]) is HPA2
    assert rules.matched([first], HPA2, "", "CREATE", [HPA1]) is HPA1
    assert rules.matched([first], HPA2, "", "CREATE") is None


def configuration(name: str, *hooks: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    return ("admissionregistration.k8s.io", VALIDATING, {"metadata": meta(name), "webhooks": list(hooks)})


def hook(name: str, *given: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "clientConfig": {"url": "https://a"}, "rules": list(given), **more}


def names(source: Source, resource: Any = PODS, subresource: str = "", operation: str = "CREATE") -> list[str]:
    return [found.hook.uid for found in source.find(resource, subresource, operation)]


def test_source_sorts_and_notices_changes() -> None:
    objects = Objects(
        configuration("b", hook("x.y.z", rule(["pods"])), hook("x.y.z", rule(["pods"]))),
        configuration("a", hook("x.y.z", rule(["pods"])), hook("n.y.z", rule(["nodes"]))),
    )
    source = Source(objects, VALIDATING, lambda: RESOURCES)
    assert names(source) == ["a/x.y.z/0", "b/x.y.z/0", "b/x.y.z/1"]
    assert names(source) == names(source)
    assert names(source, NODES) == ["a/n.y.z/0"]
    objects.drop("admissionregistration.k8s.io", VALIDATING, "", "b")
    assert names(source) == ["a/x.y.z/0"]
    objects.put(*configuration("c", hook("new.y.z", rule(["*"]))))
    assert names(source) == ["a/x.y.z/0", "c/new.y.z/0"]


def test_source_shows_an_equivalent_version_unless_exact() -> None:
    given = rule(["horizontalpodautoscalers"], versions="v1")
    objects = Objects(configuration("a", hook("e.y.z", given), hook("x.y.z", given, matchPolicy="Exact")))
    ((found,),) = (Source(objects, VALIDATING, lambda: RESOURCES).find(HPA2, "", "CREATE"),)
    assert (found.hook.name, found.resource) == ("e.y.z", HPA1)


def test_source_leaves_configurations_themselves_alone() -> None:
    source = Source(Objects(configuration("a", hook("e.y.z", rule(["*/*"])))), VALIDATING, lambda: RESOURCES)
    exempt = [r.name for r in RESOURCES if not source.find(r, "", "CREATE")]
    assert sorted(set(exempt)) == sorted(set(exempt) & rules.EXEMPT)
    assert {"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} <= set(exempt)


def test_a_broken_configuration_does_not_hide_the_others(caplog: pytest.LogCaptureFixture) -> None:
    broken = hook("e.y.z", rule(["pods"])) | {"clientConfig": {"url": "https://a", "caBundle": "?"}}
    source = Source(
        Objects(configuration("a", broken), configuration("b", hook("x.y.z", rule(["pods"])))),
        VALIDATING,
        lambda: RESOURCES,
    )
    assert names(source) == ["b/x.y.z/0"]
    assert "webhooks of a are not asked" in caplog.text
