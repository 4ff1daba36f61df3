"""Admission LimitRanger (upstream: plugin/pkg/admission/limitranger)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pybernetes.api import errors, pods
from pybernetes.api.quantity import Quantity, parse_quantity

from ..types import Attributes, Reader

ANNOTATION = "kubernetes.io/limit-ranger"

Object = dict[str, Any]
Amounts = Mapping[str, Quantity]
# (type of limit, resource, enforced, requests, limits) -> what is wrong, ""
Constraint = Callable[[str, str, Quantity, Amounts, Amounts], str]


def amounts(given: Mapping[str, str] | None) -> dict[str, Quantity]:
    """A ResourceList parsed."""
    return {name: parse_quantity(text) for name, text in (given or {}).items()}


def minimum(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    """Requests and limits must be at least so much."""
    head = f"minimum {name} usage per {kind} is {enforced}"
    if name not in requests:
        return f"{head}.  No request is specified"
    if requests[name] < enforced:
        return f"{head}, but request is {requests[name]}"
    if name in limits and limits[name] < enforced:
        return f"{head}, but limit is {limits[name]}"
    return ""


def maximum(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    """Limits and requests must be at most so much."""
    head = f"maximum {name} usage per {kind} is {enforced}"
    if name not in limits:
        return f"{head}.  No limit is specified"
    if limits[name] > enforced:
        return f"{head}, but limit is {limits[name]}"
    if name in requests and requests[name] > enforced:
        return f"{head}, but request is {requests[name]}"
    return ""


def maximum_request(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    """As maximum, of what has no limits: claims."""
    head = f"maximum {name} usage per {kind} is {enforced}"
    if name not in requests:
        return f"{head}.  No request is specified"
    return f"{head}, but request is {requests[name]}" if requests[name] > enforced else ""


def ratio(kind: str, name: str, enforced: Quantity, requests: Amounts, limits: Amounts) -> str:
    """A limit may be so many times the request."""
    head = f"{name} max limit to request ratio per {kind} is {enforced}"
    if name not in requests or requests[name].is_zero():
        return f"{head}, but no request is specified or request is 0"
    if name not in limits or limits[name].is_zero():
        return f"{head}, but no limit is specified or limit is 0"
    observed = limits[name].nanos / requests[name].nanos
    return f"{head}, but provided ratio is {observed:f}" if observed > enforced.nanos / 10**9 else ""


def _checked(limit: Object, checks: Sequence[tuple[str, Constraint]], requests: Amounts, limits: Amounts) -> list[str]:
    texts = []
    for key, constraint in checks:
        for name, enforced in sorted(amounts(limit.get(key)).items()):
            problem = constraint(limit.get("type", ""), name, enforced, requests, limits)
            if problem:
                texts.append(problem)
    return texts


_POD_CHECKS = (("min", minimum), ("max", maximum), ("maxLimitRequestRatio", ratio))
_CLAIM_CHECKS = (("min", minimum), ("max", maximum_request))


def pod_problems(pod: Object, limit: Object) -> list[str]:
    """Of one limit of a LimitRange."""
    spec = pod["spec"]
    texts: list[str] = []
    if limit.get("type") == "Container":
        for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
            resources = container.get("resources") or {}
            requests, limits = amounts(resources.get("requests")), amounts(resources.get("limits"))
            texts += _checked(limit, _POD_CHECKS, requests, limits)
    elif limit.get("type") == "Pod":
        whole = pods.resources_of(spec)
        requests, limits = pods.requests(whole, overhead=False), pods.limits(whole, overhead=False)
        texts += _checked(limit, _POD_CHECKS, requests, limits)
    return texts


def claim_problems(claim: Object, limit: Object) -> list[str]:
    """Of one limit of a LimitRange."""
    if limit.get("type") != "PersistentVolumeClaim":
        return []
    requests = amounts((claim["spec"].get("resources") or {}).get("requests"))
    return _checked(limit, _CLAIM_CHECKS, requests, {})


def merged(container: Object, title: str, defaults: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Gives a container the defaults it lacks; what was set, in words."""
    resources = container.setdefault("resources", {})
    words = []
    for key in ("requests", "limits"):
        present = resources.get(key) or {}
        lacking = {name: text for name, text in defaults[key].items() if name not in present}
        if lacking:
            resources[key] = {**present, **lacking}
            words.append(f"{', '.join(sorted(lacking))} {key[:-1]} for {title} {container['name']}")
    return words


def fill(pod: Object, limit_range: Object) -> None:
    """Defaults of a LimitRange, and the annotation that tells of them."""
    defaults: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for limit in (limit_range.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container":
            defaults["requests"].update(limit.get("defaultRequest") or {})
            defaults["limits"].update(limit.get("default") or {})
    words: list[str] = []
    for key, title in (("containers", "container"), ("initContainers", "init container")):
        for container in pod["spec"].get(key) or ():
            words += merged(container, title, defaults)
    if words:
        annotations = pod["metadata"].get("annotations") or {}
        text = f"LimitRanger plugin set: {'; '.join(words)}"
        pod["metadata"]["annotations"] = {**annotations, ANNOTATION: text}


class LimitRanger:
    """Pods and claims keep within the limits of their namespace, and get its defaults."""

    name = "LimitRanger"
    resources = frozenset({("", "pods"), ("", "persistentvolumeclaims")})

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Fills in defaults of new pods."""
        pod, resource = attributes.object, attributes.resource
        if pod is None or attributes.operation != "CREATE" or attributes.subresource:
            return
        if (resource.group, resource.name) == ("", "pods"):
            for limit_range in self._reader.list("", "limitranges", attributes.namespace):
                fill(pod, limit_range)

    def validate(self, attributes: Attributes) -> None:
        """403 beyond a limit."""
        obj, resource = attributes.object, attributes.resource
        if obj is None or resource.group != "":
            return
        problems: Callable[[Object, Object], list[str]]
        match resource.name, attributes.operation, attributes.subresource:
            case ("pods", "CREATE", "") | ("pods", "UPDATE", "resize"):
                problems = pod_problems
            case "persistentvolumeclaims", "CREATE" | "UPDATE", "":
                problems = claim_problems
            case _:
                return
        for limit_range in self._reader.list("", "limitranges", attributes.namespace):
            violations = [
                p for limit in (limit_range.get("spec") or {}).get("limits") or () for p in problems(obj, limit)
            ]
            if violations:
                texts = list(dict.fromkeys(violations))
                text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
                raise errors.forbidden("", resource.name, attributes.told_name, text)
