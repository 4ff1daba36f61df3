"""Admission PodSecurity (upstream: plugin/pkg/admission/security/podsecurity). Versions of the standards: the newest alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pybernetes.api import errors, field
from pybernetes.api.field import Path
from pybernetes.api.wellknown import APP_ARMOR_CONTAINER_ANNOTATION_PREFIX

from .. import audit
from ..types import Attributes, Reader
from .podsecuritystandards import LEVELS, violations

PREFIX = "pod-security.kubernetes.io/"
MODES = ("enforce", "audit", "warn")
LABELS = Path("metadata") / "labels"
UNCHECKED = ("exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status")  # subresources of pods
# What an audit event says of it.
ENFORCED, VIOLATIONS, ERROR = (PREFIX + name for name in ("enforce-policy", "audit-violations", "error"))
MAX_PODS = 1000  # that are looked at when a namespace becomes stricter; upstream has a second for 3000 of them
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

# More digits are beyond Go's int.
_VERSION = re.compile(r"v1\.(?:0|[1-9][0-9]{0,17})")

Object = dict[str, Any]
Errors = list[field.FieldError]


@dataclass(frozen=True, slots=True)
class LevelVersion:
    """A standard; `version` is `latest` or `v1.N`."""

    level: str = "privileged"
    version: str = "latest"

    def __str__(self) -> str:
        return f"{self.level}:{self.version}"


def policy(labels: Mapping[str, str]) -> tuple[dict[str, LevelVersion], Errors]:
    """What a namespace's labels ask for by mode, and which of them nobody understands (upstream: api/helpers.go).

    An unknown level to be enforced is the strictest; one to warn or audit of is none.
    """
    policies: dict[str, LevelVersion] = {}
    problems: Errors = []
    for mode in MODES:
        level, version = labels.get(PREFIX + mode), labels.get(f"{PREFIX}{mode}-version")
        if level is not None and level not in LEVELS:
            problems.append(field.invalid(LABELS.key(PREFIX + mode), level, f"must be one of {', '.join(LEVELS)}"))
            level = "restricted" if mode == "enforce" else "privileged"
        if version is not None and version != "latest" and not _VERSION.fullmatch(version):
            at = LABELS.key(f"{PREFIX}{mode}-version")
            problems.append(field.invalid(at, version, 'must be "latest" or "v1.x"'))
            version = "latest"
        policies[mode] = LevelVersion(level or "privileged", version or "latest")
    enforced = policies["enforce"]
    if PREFIX + "warn" not in labels and labels.get(PREFIX + "enforce") in LEVELS and enforced.level != "privileged":
        # Who enforces is warned of workloads, too, if nothing else is said.
        own = f"{PREFIX}warn-version" in labels
        policies["warn"] = LevelVersion(enforced.level, policies["warn"].version if own else enforced.version)
    return policies, problems


def template_of(obj: Object, fields: tuple[str, ...]) -> Object | None:
    """The pod that a workload would make."""
    value: Any = obj
    for name in fields:
        value = (value or {}).get(name)
    return {"metadata": {}, **value, "spec": value["spec"]} if value and value.get("spec") else None


class PodSecurity:
    """Pods keep to the standard that their namespace names; workloads that will not are warned of."""

    name = "PodSecurity"
    resources = frozenset({("", "pods"), ("", "namespaces"), *TEMPLATES})

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
            if attributes.subresource not in UNCHECKED:
                self._pod(attributes, obj)
        elif key in TEMPLATES and not attributes.subresource:
            pod = template_of(obj, TEMPLATES[key])
            if pod is not None:
                self._evaluate(attributes, pod, *self._policy(attributes), enforce=False)

    def _namespace(self, attributes: Attributes, namespace: Object) -> None:
        if attributes.subresource:
            return
        asked, problems = policy(namespace["metadata"].get("labels") or {})
        old = attributes.old_object
        before, problems_before = policy(((old or {}).get("metadata") or {}).get("labels") or {})
        if problems and (old is None or problems != problems_before):
            raise errors.invalid("", "Namespace", attributes.name, problems)
        new, was = asked["enforce"], before["enforce"]
        if old is None or new == was or new.level == "privileged":
            return
        if new.version == was.version and LEVELS.index(new.level) <= LEVELS.index(was.level):
            return
        pods = self._reader.list("", "pods", attributes.name)
        attributes.warnings.extend(of_existing(list(pods), attributes.name, new))

    def _policy(self, attributes: Attributes) -> tuple[dict[str, LevelVersion], Errors]:
        namespace = self._reader.get("", "namespaces", "", attributes.namespace)
        return policy(((namespace or {}).get("metadata") or {}).get("labels") or {})

    def _pod(self, attributes: Attributes, pod: Object) -> None:
        policies, problems = self._policy(attributes)
        if not problems and all(one.level == "privileged" for one in policies.values()):
            audit.annotate(ENFORCED, str(LevelVersion()))
        elif _changes_pod(attributes):
            self._evaluate(attributes, pod, policies, problems, enforce=True)

    @staticmethod
    def _evaluate(
        attributes: Attributes, pod: Object, policies: Mapping[str, LevelVersion], problems: Errors, *, enforce: bool
    ) -> None:
        """Upstream's EvaluatePod. StatusError 403 with `enforce` alone; the audit event hears all of it."""
        reasons = {mode: ", ".join(violations(pod, asked.level)) for mode, asked in policies.items()}
        texts = {mode: f'violate PodSecurity "{policies[mode]}": {why}' for mode, why in reasons.items() if why}
        if problems:
            audit.annotate(ERROR, f"Failed to parse policy: {field.aggregate(problems)}")
        if "audit" in texts:
            audit.annotate(VIOLATIONS, f"would {texts['audit']}")
        if enforce:
            audit.annotate(ENFORCED, str(policies["enforce"]))
            if "enforce" in texts:
                why = texts["enforce"].replace("violate", "violates", 1)
                raise errors.forbidden("", "pods", attributes.told_name, why)
        if "warn" in texts:
            attributes.warnings.append(f"would {texts['warn']}")


def of_existing(pods: list[Object], namespace: str, enforced: LevelVersion) -> list[str]:
    """What to tell who makes a namespace stricter: which reasons pods give to be forbidden, each with the first such pod."""
    by_reason: dict[str, list[str]] = {}
    ordered = _one_of_each_first(pods)
    for pod in ordered[:MAX_PODS]:
        violated = violations(pod, enforced.level)
        if violated:
            reason = ", ".join(one.partition(" (")[0] for one in violated)
            by_reason.setdefault(reason, []).append(pod["metadata"]["name"])
    told = []
    if len(ordered) > MAX_PODS:
        told.append(
            f"new PodSecurity enforce level only checked against the first {MAX_PODS} of {len(ordered)} existing pods"
        )
    if by_reason:
        told.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{enforced}"')
    others = {1: "", 2: " (and 1 other pod)"}
    lines = []
    for reason, names in by_reason.items():
        shown = others.get(len(names), f" (and {len(names) - 1} other pods)")
        lines.append(f"{min(names)}{shown}: {reason}")
    return told + sorted(lines)


def _one_of_each_first(pods: list[Object]) -> list[Object]:
    """Further pods of a controller that has been seen come last: they are most probably alike."""
    first: list[Object] = []
    further: list[Object] = []
    seen: set[str] = set()
    for pod in pods:
        owner = next((o["uid"] for o in pod["metadata"].get("ownerReferences") or () if o.get("controller")), None)
        (further if owner in seen else first).append(pod)
        if owner is not None:
            seen.add(owner)
    return first + further


def _changes_pod(attributes: Attributes) -> bool:
    if attributes.operation == "CREATE":
        return not attributes.subresource
    new, old = attributes.object or {}, attributes.old_object or {}
    if new.get("spec") != old.get("spec"):
        return True
    annotations, before = (((o.get("metadata") or {}).get("annotations")) or {} for o in (new, old))
    key = APP_ARMOR_CONTAINER_ANNOTATION_PREFIX
    return {k: v for k, v in annotations.items() if k.startswith(key)} != {
        k: v for k, v in before.items() if k.startswith(key)
    }
