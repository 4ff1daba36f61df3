"""Admission PodSecurity (upstream: plugin/pkg/admission/security/podsecurity). Versions of the standards: the newest alone."""

from __future__ import annotations

from typing import Any

from pybernetes.api import errors, field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX

from ..types import Attributes, Reader
from .podsecuritystandards import LEVELS, violations

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "warn", "audit")
# Where the pod's template is, by (group, resource): such objects are only warned of.
TEMPLATES = {
    ("", "podtemplates"): ("template",),
    ("", "replicationcontrollers"): ("spec", "template"),
    ("apps", "replicasets"): ("spec", "template"),
    ("apps", "deployments"): ("spec", "template"),
    ("apps", "statefulsets"): ("spec", "template"),
    ("apps", "daemonsets"): ("spec", "template"),
    ("batch", "jobs"): ("spec", "template"),
    ("batch", "cronjobs"): ("spec", "jobTemplate", "spec", "template"),
}

Object = dict[str, Any]


def level_of(namespace: Object | None, mode: str) -> tuple[str, str]:
    """(level, version as the label has it) that a namespace asks for; what nobody understands is the strictest."""
    labels = ((namespace or {}).get("metadata") or {}).get("labels") or {}
    level = labels.get(PREFIX + mode, "privileged")
    return (level if level in LEVELS else "restricted", labels.get(f"{PREFIX}{mode}-version") or "latest")


def template_of(obj: Object, fields: tuple[str, ...]) -> Object | None:
    """The pod that a workload would make."""
    value: Any = obj
    for name in fields:
        value = (value or {}).get(name)
    return {"metadata": {}, **value, "spec": value["spec"]} if value and value.get("spec") else None


class PodSecurity:
    """Pods keep to the standard that their namespace names; workloads that will not are warned of."""

    name = "PodSecurity"

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def admit(self, attributes: Attributes) -> None:
        """Nothing is filled in."""

    def validate(self, attributes: Attributes) -> None:
        """403 for a pod, 422 for a namespace that names no level."""
        obj, key = attributes.object, (attributes.resource.group, attributes.resource.name)
        if obj is None or attributes.operation not in ("CREATE", "UPDATE"):
            return
        if key == ("", "namespaces"):
            self._namespace(attributes, obj)
        elif key == ("", "pods"):
            if _changes_pod(attributes):
                self._pod(attributes, obj)
        elif key in TEMPLATES and not attributes.subresource:
            pod = template_of(obj, TEMPLATES[key])
            if pod is not None:
                self._warn(attributes, pod)

    @staticmethod
    def _namespace(attributes: Attributes, namespace: Object) -> None:
        labels = namespace["metadata"].get("labels") or {}
        before = ((attributes.old_object or {}).get("metadata") or {}).get("labels") or {}
        path = Path("metadata") / "labels"
        problems = []
        for mode in MODES:
            key = PREFIX + mode
            given = labels.get(key, "privileged")
            if given not in LEVELS and before.get(key) != given:
                problems.append(field.invalid(path.key(key), given, f"must be one of {', '.join(LEVELS)}"))
        if problems:
            raise errors.invalid("", "Namespace", attributes.name, problems)

    def _pod(self, attributes: Attributes, pod: Object) -> None:
        namespace = self._reader.get("", "namespaces", "", attributes.namespace)
        level, version = level_of(namespace, "enforce")
        found = violations(pod, level)
        if found:
            why = f'violates PodSecurity "{level}:{version}": {", ".join(found)}'
            raise errors.forbidden("", "pods", attributes.name, why)
        self._warn(attributes, pod)

    def _warn(self, attributes: Attributes, pod: Object) -> None:
        level, version = level_of(self._reader.get("", "namespaces", "", attributes.namespace), "warn")
        found = violations(pod, level)
        if found:
            attributes.warnings.append(f'would violate PodSecurity "{level}:{version}": {", ".join(found)}')


def _changes_pod(attributes: Attributes) -> bool:
    if attributes.operation == "CREATE":
        return not attributes.subresource
    if attributes.subresource not in ("", "ephemeralcontainers", "resize"):
        return False
    new, old = attributes.object or {}, attributes.old_object or {}
    if new.get("spec") != old.get("spec"):
        return True
    annotations, before = (((o.get("metadata") or {}).get("annotations")) or {} for o in (new, old))
    key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX
    return {k: v for k, v in annotations.items() if k.startswith(key)} != {
        k: v for k, v in before.items() if k.startswith(key)
    }
