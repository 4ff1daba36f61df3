"""audit.k8s.io/v1 Policy: its rules, and what they say of a request. Pure.

Upstream: apiserver/pkg/audit/policy, apis/audit/validation.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pybernetes.api import field, names
from pybernetes.api.field import FieldError
from pybernetes.api.field import Path as FieldPath

from .. import configdocument
from ..audit import LEVELS, Decision, Level, Stage
from ..authentication.user import User
from ..configdocument import DocumentError, Object, Shape
from ..types import RequestInfo

_log = logging.getLogger(__name__)

KINDS = (("audit.k8s.io/v1", "Policy"),)
_RESOURCES: Shape = {"group": str, "resources": [str], "resourceNames": [str]}
_RULE: Shape = {
    "level": str,
    "users": [str],
    "userGroups": [str],
    "verbs": [str],
    "resources": [_RESOURCES],
    "namespaces": [str],
    "nonResourceURLs": [str],
    "omitStages": [str],
    "omitManagedFields": bool,
}
SHAPE: dict[str, Shape] = {"rules": [_RULE], "omitStages": [str], "omitManagedFields": bool}
STAGES = tuple(stage.value for stage in Stage)


BY_WORD = {word: Level(number) for number, word in enumerate(LEVELS)}


@dataclass(frozen=True, slots=True)
class GroupResources:
    """Resources of one group ("*": of any); none named: all."""

    group: str
    resources: tuple[str, ...]
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is left empty says nothing."""

    decision: Decision
    users: frozenset[str]
    groups: frozenset[str]
    verbs: frozenset[str]
    namespaces: frozenset[str]
    resources: tuple[GroupResources, ...]
    paths: tuple[str, ...]  # non-resource URLs


@dataclass(frozen=True, slots=True)
class Policy:
    """The first rule that matches decides; `otherwise` where none does."""

    rules: tuple[Rule, ...]
    otherwise: Decision

    def decide(self, user: User | None, info: RequestInfo) -> Decision:
        """`user` is who asks, not who is impersonated; None where authentication has failed."""
        return next((rule.decision for rule in self.rules if _matches(rule, user, info)), self.otherwise)


def _matches(rule: Rule, user: User | None, info: RequestInfo) -> bool:
    if rule.users and (user is None or user.name not in rule.users):
        return False
    if rule.groups and (user is None or rule.groups.isdisjoint(user.groups)):
        return False
    if rule.verbs and info.verb not in rule.verbs:
        return False
    if rule.namespaces or rule.resources:
        return info.is_resource and _matches_resource(rule, info)
    if rule.paths:
        return not info.is_resource and any(_matches_path(info.path, spec) for spec in rule.paths)
    return True


def _matches_path(path: str, spec: str) -> bool:
    return spec in ("*", path) or (spec.endswith("*") and path.startswith(spec.rstrip("*")))


def _matches_resource(rule: Rule, info: RequestInfo) -> bool:
    if rule.namespaces and info.namespace not in rule.namespaces:
        return False
    return not rule.resources or any(_names(one, info) for one in rule.resources)


def _names(one: GroupResources, info: RequestInfo) -> bool:
    if one.group not in (info.group, "*"):
        return False
    if not one.resources:
        return True
    if one.names and info.name not in one.names:
        return False
    whole = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    fitting = {"*", whole, f"{info.resource}/*"}
    if info.subresource:
        fitting.add(f"*/{info.subresource}")
    return not fitting.isdisjoint(one.resources)


def load(path: str) -> Policy:
    """Of --audit-policy-file. DocumentError, in upstream's words."""
    try:
        data = configdocument.read(path, "audit policy")
        return parse(data)
    except DocumentError as error:
        raise DocumentError(f"loading audit policy file: {error}: from file {path}") from error


def parse(data: bytes) -> Policy:
    """DocumentError. Unknown fields are told in the log, and passed over, as upstream does."""
    try:
        document = configdocument.decode(data, KINDS, SHAPE)
    except configdocument.StrictError as error:
        _log.warning("Audit policy contains errors, falling back to lenient decoding: %s", error)
        document = configdocument.decode(data, KINDS, SHAPE, lenient=True)
    problems = list(validate(document))
    if problems:
        raise DocumentError(field.aggregate(problems))
    if not document.get("rules"):
        raise DocumentError("loaded illegal policy with 0 rules")
    omitted, managed = frozenset(document.get("omitStages", [])), document.get("omitManagedFields", False)
    rules = tuple(_rule(rule, omitted, managed) for rule in document["rules"])
    return Policy(rules, Decision(Level.NONE, omitted, managed))


def _rule(rule: Object, omitted: frozenset[str], managed: bool) -> Rule:
    decision = Decision(
        BY_WORD[rule["level"]],
        omitted | frozenset(rule.get("omitStages", [])),
        rule.get("omitManagedFields", managed),
    )
    resources = tuple(
        GroupResources(one.get("group", ""), tuple(one.get("resources", [])), frozenset(one.get("resourceNames", [])))
        for one in rule.get("resources", [])
    )
    users, groups, verbs, namespaces = (
        frozenset(rule.get(name, [])) for name in ("users", "userGroups", "verbs", "namespaces")
    )
    return Rule(decision, users, groups, verbs, namespaces, resources, tuple(rule.get("nonResourceURLs", [])))


def validate(document: Object) -> Iterator[FieldError]:
    """What is wrong, in upstream's order and words."""
    yield from _stages(document.get("omitStages", []), FieldPath("omitStages"))
    for number, rule in enumerate(document.get("rules", [])):
        path = FieldPath("rules") / number
        level = rule.get("level", "")
        if not level:
            yield field.required(path / "level")
        elif level not in BY_WORD:
            yield field.not_supported(path / "level", level, LEVELS)
        urls = rule.get("nonResourceURLs", [])
        yield from _paths(urls, path / "nonResourceURLs")
        yield from _resources(rule.get("resources", []), path / "resources")
        yield from _stages(rule.get("omitStages", []), path / "omitStages")
        if urls and (rule.get("resources") or rule.get("namespaces")):
            text = "rules cannot apply to both regular resources and non-resource URLs"
            yield field.invalid(path / "nonResourceURLs", urls, text)


def _stages(stages: Sequence[str], path: FieldPath) -> Iterator[FieldError]:
    for number, stage in enumerate(stages):
        if stage not in STAGES:
            yield field.invalid(path / number, stage, f"allowed stages are {','.join(STAGES)}")


def _paths(urls: Sequence[str], path: FieldPath) -> Iterator[FieldError]:
    for number, url in enumerate(urls):
        if url == "*":
            continue
        if not url.startswith("/"):
            yield field.invalid(path / number, url, "non-resource URL rules must begin with a '/' character")
        if "*" in url[:-1]:
            text = "non-resource URL wildcards '*' must be the final character of the rule"
            yield field.invalid(path / number, url, text)


def _resources(resources: Sequence[Any], path: FieldPath) -> Iterator[FieldError]:
    for one in resources:
        group = one.get("group", "")
        if group and group != "*" and (wrong := names.dns1123_subdomain_errors(group)):
            yield field.invalid(path / "group", group, ",".join(wrong))
        if one.get("resourceNames") and not one.get("resources"):
            text = "using resourceNames requires at least one resource"
            yield field.invalid(path / "resourceNames", one["resourceNames"], text)
