"""RBAC's rules on plain dicts: what they match, how they are told (upstream: pkg/registry/rbac/validation, plugin/.../rbac). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

Rule = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
ALL = "*"


def names_match(name: str, listed: Sequence[str] | None) -> bool:
    """One of a list of names, or all."""
    return bool(listed) and (name in listed or ALL in listed)  # type: ignore[operator]  # bool() has excluded None


def resource_matches(rule: Rule, resource: str, subresource: str) -> bool:
    """`pods`, `pods/log`, `*/scale`, `*`."""
    listed = rule.get("resources") or ()
    combined = f"{resource}/{subresource}" if subresource else resource
    return ALL in listed or combined in listed or bool(subresource and f"*/{subresource}" in listed)


def path_matches(rule: Rule, path: str) -> bool:
    """`/healthz`, `/api/*`, `*`."""
    return any(
        listed in (ALL, path) or (listed.endswith(ALL) and path.startswith(listed.rstrip(ALL)))
        for listed in rule.get("nonResourceURLs") or ()
    )


def allows_resource(rule: Rule, verb: str, group: str, resource: str, subresource: str) -> bool:
    """Leaving resourceNames aside."""
    return (
        names_match(verb, rule.get("verbs"))
        and names_match(group, rule.get("apiGroups"))
        and resource_matches(rule, resource, subresource)
    )


def allows_path(rule: Rule, verb: str, path: str) -> bool:
    """A request that is for no resource."""
    return names_match(verb, rule.get("verbs")) and path_matches(rule, path)


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Rules that differ in their verbs alone, put together; those with names or paths stay."""
    simple: dict[tuple[str, str], dict[str, None]] = {}
    out: list[Rule] = []
    for rule in rules:
        if rule.get("resourceNames") or rule.get("nonResourceURLs"):
            out.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        if key not in simple:
            simple[key] = {}
            out.append({**rule, "verbs": simple[key]})
        simple[key].update(dict.fromkeys(rule["verbs"]))
    return [{**rule, "verbs": list(rule["verbs"])} for rule in out]


_FIELDS = (
    ("APIGroups", "apiGroups"),
    ("Resources", "resources"),
    ("NonResourceURLs", "nonResourceURLs"),
    ("ResourceNames", "resourceNames"),
    ("Verbs", "verbs"),
)


def quoted(values: Iterable[str]) -> str:
    """A list as Go's %q writes it: ["a" "b"]."""
    return "[" + " ".join(msgspec.json.encode(value).decode() for value in values) + "]"


def described(rule: Rule) -> str:
    """`{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`."""
    return "{" + ", ".join(f"{title}:{quoted(rule[key])}" for title, key in _FIELDS if rule.get(key)) + "}"
