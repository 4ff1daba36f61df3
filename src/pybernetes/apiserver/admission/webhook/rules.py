"""Whether a rule speaks of a request (upstream: webhook/predicates/rules/rules.go). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...resource import Object, Resource

ALL = "*"
# What decides on admission is not itself decided on: a wrong webhook could not be taken away any more.
EXEMPT_GROUP = "admissionregistration.k8s.io"
EXEMPT = frozenset(
    {
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A RuleWithOperations."""

    operations: tuple[str, ...]
    groups: tuple[str, ...]
    versions: tuple[str, ...]
    resources: tuple[tuple[str, str], ...]  # (resource, subresource)
    scope: str = ALL

    @classmethod
    def read(cls, rule: Object) -> Rule:
        """Of its JSON."""
        return cls(
            operations=_strings(rule, "operations"),
            groups=_strings(rule, "apiGroups"),
            versions=_strings(rule, "apiVersions"),
            resources=tuple(_split(text) for text in _strings(rule, "resources")),
            scope=rule.get("scope") or ALL,
        )

    def matches(self, resource: Resource, subresource: str, operation: str) -> bool:
        """Of a request for this version of the resource."""
        return (
            _has(self.operations, operation)
            and _has(self.groups, resource.group)
            and _has(self.versions, resource.version)
            and any(_is(r, resource.name) and _is(s, subresource) for r, s in self.resources)
            and (self.scope == ALL or (self.scope == "Namespaced") == resource.namespaced)
        )


def _strings(rule: Object, name: str) -> tuple[str, ...]:
    return tuple(rule.get(name) or ())


def _split(text: str) -> tuple[str, str]:
    resource, _, subresource = text.partition("/")
    return resource, subresource


def _is(listed: str, value: str) -> bool:
    return listed in (ALL, value)


def _has(listed: Sequence[str], value: str) -> bool:
    return ALL in listed or value in listed


def exempt(resource: Resource) -> bool:
    """IsExemptAdmissionConfigurationResource."""
    return resource.group == EXEMPT_GROUP and resource.name in EXEMPT


def equivalents(resource: Resource, subresource: str, served: Iterable[Resource]) -> list[Resource]:
    """The other versions (and groups) under which the same objects are served."""
    stored, own = resource.stored_at[:2], (resource.group, resource.version, resource.name)
    return [
        other
        for other in served
        if other.stored_at[:2] == stored
        and (other.group, other.version, other.name) != own
        and _has_subresource(other, subresource)
    ]


def _has_subresource(resource: Resource, subresource: str) -> bool:
    match subresource:
        case "":
            return True
        case "status":
            return resource.status
        case "scale":
            return resource.scale is not None
    return subresource in resource.parts or subresource in resource.subresources


def matched(
    rules: Sequence[Rule],
    resource: Resource,
    subresource: str,
    operation: str,
    others: Sequence[Resource] = (),
) -> Resource | None:
    """The version in which a webhook with these rules is shown the request; None: it is not asked.

    `others`: see `equivalents`; empty for matchPolicy Exact. Earlier rules win (upstream: generic.Webhook.ShouldCallHook).
    """
    if any(rule.matches(resource, subresource, operation) for rule in rules):
        return resource
    for rule in rules:
        for other in others:
            if rule.matches(other, subresource, operation):
                return other
    return None
