"""Short admission policies and bindings, for tests."""

from __future__ import annotations

from typing import Any

from .webhooks import Bench, Object

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def rule(*resources: str, group: str = "*", version: str = "*", operations: tuple[str, ...] = ("*",)) -> Object:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": list(operations),
        "resources": list(resources),
    }


def validating(name: str, *validations: Any, rules: Any = None, **spec: Any) -> Object:
    """Validations are expressions, or whole ones."""
    whole = [{"expression": each} if isinstance(each, str) else each for each in validations]
    match = {"resourceRules": list(rules or [rule("configmaps")]), **spec.pop("match", {})}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": match, "validations": whole, **spec},
    }


def mutating(name: str, *mutations: str, rules: Any = None, **spec: Any) -> Object:
    """A mutation with `[]`, or with `JSONPatch` in it, is a JSON patch, another one an apply configuration."""
    whole = [
        {"patchType": "JSONPatch", "jsonPatch": {"expression": each}}
        if "JSONPatch" in each or each == "[]"
        else {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": each}}
        for each in mutations
    ]
    match = {
        "resourceRules": rules or [rule("configmaps", operations=("CREATE", "UPDATE"))],
        **spec.pop("match", {}),
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {"matchConstraints": match, "mutations": whole, "reinvocationPolicy": "Never", **spec},
    }


def binding(policy: Object, name: str = "", **spec: Any) -> Object:
    """By default it denies, if it is a validating policy's."""
    kind = policy["kind"]
    actions = {"validationActions": ["Deny"]} if kind.startswith("Validating") else {}
    own = policy["metadata"]["name"]
    return {
        "apiVersion": policy["apiVersion"],
        "kind": f"{kind}Binding",
        "metadata": {"name": name or f"{own}-binding"},
        "spec": {"policyName": own, **actions, **spec},
    }


def plural(obj: Object) -> str:
    """The resource of a policy or binding."""
    name = str(obj["kind"]).lower()
    return f"{name}s" if name.endswith("binding") else f"{name[:-1]}ies"


async def put(b: Bench, *objects: Object) -> None:
    """Creates policies and bindings."""
    for obj in objects:
        made = await b.ask("POST", f"{REGISTRATION}/{plural(obj)}", obj)
        assert made.code == 201 and not made.warnings, made.body


async def bound(b: Bench, policy: Object, **spec: Any) -> None:
    """A policy with one binding."""
    await put(b, policy, binding(policy, **spec))


def deployment(name: str, replicas: int = 1, **metadata: Any) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }


def config_map(name: str, data: Any = None, **metadata: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {"a": "1"}}
