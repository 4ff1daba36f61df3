"""Whether a policy, or a binding, speaks of a request (upstream: policy/matching/matching.go). Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pybernetes.api.labels import Selector, selector_from_dict

from ...resource import Object, Resource
from ..webhook.rules import Rule

# What decides on admission by policies is not itself decided on by them: a wrong one could not be taken away any more.
EXEMPT = frozenset(
    ("admissionregistration.k8s.io", name)
    for name in (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    )
)
# Questions that are not stored: a policy over them could lock everybody out (upstream: kubeapiserver/admission/exclusion).
REVIEWS = frozenset(
    {
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    }
)


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A NamedRuleWithOperations: without `names` of all objects."""

    rule: Rule
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Constraints:
    """A MatchResources. Without `rules` it speaks of all resources."""

    namespaces: Selector
    objects: Selector
    rules: tuple[NamedRule, ...]
    excluded: tuple[NamedRule, ...]
    equivalent: bool

    @classmethod
    def read(cls, match: Object) -> Constraints:
        """Of its JSON. ValueError for selectors that none could have stored."""
        return cls(
            namespaces=selector_from_dict(match.get("namespaceSelector") or {}),
            objects=selector_from_dict(match.get("objectSelector") or {}),
            rules=_rules(match.get("resourceRules")),
            excluded=_rules(match.get("excludeResourceRules")),
            equivalent=match.get("matchPolicy", "Equivalent") == "Equivalent",
        )


def _rules(rules: Sequence[Object] | None) -> tuple[NamedRule, ...]:
    return tuple(NamedRule(Rule.read(rule), frozenset(rule.get("resourceNames") or ())) for rule in rules or ())


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a request rules look at. `others`: see `webhook.rules.equivalents`.

    `namespace` are the labels of the namespace that it is in, or is; None for a request of none. `missing` says that there is no such
    namespace. `objects` are the labels of the object as it will be and as it was, where it has metadata.
    """

    resource: Resource
    subresource: str
    operation: str
    name: str
    others: Sequence[Resource]
    namespace: dict[str, str] | None
    objects: Sequence[dict[str, str]]
    missing: str = ""


class Unmatched(Exception):
    """Nobody can tell whether it matches: the failure policy decides."""


def matched(constraints: Constraints, subject: Subject) -> Resource | None:
    """The version of the resource in which the request is looked at, None where it is not. Unmatched."""
    missing = ""
    if not constraints.namespaces.empty():
        missing = subject.missing
        labels = subject.namespace
        if not missing and labels is not None and not constraints.namespaces.matches(labels):
            return None
    if not constraints.objects.empty() and not any(constraints.objects.matches(labels) for labels in subject.objects):
        return None
    if by_rules(constraints.excluded, constraints.equivalent, subject) is not None:
        return None
    by_rule = by_rules(constraints.rules, constraints.equivalent, subject)
    resource = by_rule if constraints.rules else subject.resource
    if resource is not None and missing:
        raise Unmatched(missing)
    return resource


def by_rules(rules: Sequence[NamedRule], equivalent: bool, subject: Subject, named: bool = True) -> Resource | None:
    """As `webhook.rules.matched`; without `named`, of an object of whatever name."""

    def speaks(each: NamedRule, resource: Resource) -> bool:
        of_name = not named or not each.names or subject.name in each.names
        return of_name and each.rule.matches(resource, subject.subresource, subject.operation)

    if any(speaks(each, subject.resource) for each in rules):
        return subject.resource
    others = subject.others if equivalent else ()
    return next((other for each in rules for other in others if speaks(each, other)), None)
