"""What an authorizer is asked, as a SubjectAccessReview's spec, and back (upstream: authorizer/webhook, registry/authorization/util). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api.fieldselectors import escape_field_value, parse_field_selector
from pybernetes.api.labels import Operator, SelectorError, parse_selector

from ..authentication.user import User
from ..resource import Object
from ..types import RequestInfo

_IN, _NOT_IN = "In", "NotIn"
_OPERATORS = {
    Operator.EQUALS: _IN,
    Operator.DOUBLE_EQUALS: _IN,
    Operator.IN: _IN,
    Operator.NOT_EQUALS: _NOT_IN,
    Operator.NOT_IN: _NOT_IN,
    Operator.EXISTS: "Exists",
    Operator.DOES_NOT_EXIST: "DoesNotExist",
}
_ATTRIBUTES = ("namespace", "verb", "group", "version", "resource", "subresource", "name")


def spec_of(user: User, info: RequestInfo, version: str = "v1") -> Object:
    """authorization.k8s.io's SubjectAccessReviewSpec: what is empty is left out. v1beta1 calls the groups `group`."""
    spec: Object = {}
    if info.is_resource:
        given = {name: getattr(info, name) for name in _ATTRIBUTES}
        resource: Object = {name: value for name, value in given.items() if value}
        if requirements := field_requirements(info.field_selector):
            resource["fieldSelector"] = {"requirements": requirements}
        if requirements := label_requirements(info.label_selector):
            resource["labelSelector"] = {"requirements": requirements}
        spec["resourceAttributes"] = resource
    else:
        spec["nonResourceAttributes"] = {"path": info.path, "verb": info.verb}
    if user.name:
        spec["user"] = user.name
    if user.groups:
        spec["groups" if version == "v1" else "group"] = list(user.groups)
    if user.extra:
        spec["extra"] = {key: list(values) for key, values in user.extra.items()}
    if user.uid:
        spec["uid"] = user.uid
    return spec


def field_requirements(selector: str) -> list[Object]:
    """Of a field selector; none for one that cannot be read, which only makes the question a wider one."""
    try:
        parsed = parse_field_selector(selector).requirements if selector else ()
    except SelectorError:
        return []
    return [{"key": one.field, "operator": _OPERATORS[one.operator], "values": [one.value]} for one in parsed]


def label_requirements(selector: str) -> list[Object]:
    """Of a label selector, as `field_requirements`; numbers that are compared are left out."""
    try:
        parsed = parse_selector(selector).requirements if selector else ()
    except SelectorError:
        return []
    return [
        {
            "key": one.key,
            "operator": _OPERATORS[one.operator],
            **({"values": list(one.values)} if one.values else {}),
        }
        for one in parsed
        if one.operator in _OPERATORS
    ]


def field_selector_of(selector: Mapping[str, Any]) -> str:
    """Of FieldSelectorAttributes, as the query has it. Conditions of several values are left out: the answer gets stricter by that at most."""
    if raw := selector.get("rawSelector"):
        return str(raw)
    signs = {_IN: "=", _NOT_IN: "!="}
    parts = []
    for requirement in selector.get("requirements") or ():
        sign, values = signs.get(requirement.get("operator", "")), list(requirement.get("values") or ())
        if sign and len(values) == 1:
            parts.append(f"{requirement.get('key', '')}{sign}{escape_field_value(values[0])}")
    return ",".join(parts)


def label_selector_of(selector: Mapping[str, Any]) -> str:
    """Of LabelSelectorAttributes, as the query has it."""
    if raw := selector.get("rawSelector"):
        return str(raw)
    return ",".join(filter(None, map(_label, selector.get("requirements") or ())))


def _label(requirement: Mapping[str, Any]) -> str:
    key, values = requirement.get("key", ""), _joined(requirement.get("values") or ())
    match requirement.get("operator"):
        case "In":
            return f"{key} in ({values})"
        case "NotIn":
            return f"{key} notin ({values})"
        case "Exists":
            return str(key)
        case "DoesNotExist":
            return f"!{key}"
    return ""


def _joined(values: Sequence[str]) -> str:
    return ",".join(values)
