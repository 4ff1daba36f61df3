"""Whether a request is of a FlowSchema (upstream: flowcontrol/rule.go)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pybernetes.api.wellknown import SERVICE_ACCOUNT_USERNAME_PREFIX

from ..authentication.user import User
from ..types import RequestInfo
from .configuration import Schema

ALL = "*"


def matches(schema: Schema, user: User, info: RequestInfo) -> bool:
    """One rule is enough: one of its subjects, and one of its rules for resources or for other paths."""
    return any(_rule(rule, user, info) for rule in schema.rules)


def _rule(rule: Mapping[str, Any], user: User, info: RequestInfo) -> bool:
    if not any(_subject(subject, user) for subject in rule.get("subjects") or ()):
        return False
    if info.is_resource:
        return any(_resource(one, info) for one in rule.get("resourceRules") or ())
    return any(_path(one, info) for one in rule.get("nonResourceRules") or ())


def _subject(subject: Mapping[str, Any], user: User) -> bool:
    match subject:
        case {"kind": "User", "user": {"name": name}}:
            return bool(name in (ALL, user.name))
        case {"kind": "Group", "group": {"name": name}}:
            return bool(name == ALL or name in user.groups)
        case {"kind": "ServiceAccount", "serviceAccount": {"name": name, "namespace": namespace}}:
            prefix = f"{SERVICE_ACCOUNT_USERNAME_PREFIX}{namespace}:"
            return user.name.startswith(prefix) if name == ALL else user.name == prefix + name
    return False


def _resource(rule: Mapping[str, Any], info: RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (
        _among(info.verb, rule.get("verbs"))
        and _among(resource, rule.get("resources"))
        and _among(info.group, rule.get("apiGroups"))
    ):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _among(info.namespace, rule.get("namespaces"))


def _path(rule: Mapping[str, Any], info: RequestInfo) -> bool:
    return _among(info.verb, rule.get("verbs")) and _below(info.path, rule.get("nonResourceURLs") or ())


def _below(path: str, urls: Iterable[str]) -> bool:
    """A URL of a rule is meant with all that is below it, whether it ends with `/*` or not."""
    return any(url in (ALL, path) or path.startswith(f"{url.removesuffix('*').rstrip('/')}/") for url in urls)


def _among(value: str, values: Sequence[str] | None) -> bool:
    return values is not None and (value in values or list(values) == [ALL])
