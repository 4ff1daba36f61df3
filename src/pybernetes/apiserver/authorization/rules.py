"""RBAC's rules on plain dicts: what they match, what they cover (upstream: pkg/registry/rbac/validation, plugin/.../rbac). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import msgspec

Rule = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
ALL = "*"


def names_match(wanted: str, listed: Sequence[str] | None) -> bool:
    """One of a list of names, or all."""
    return bool(listed) and (wanted in listed or ALL in listed)  # type: ignore[operator]  # bool() has excluded None


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


# Escalation: whether the rules of one cover those that he gives.


def _contains(owned: Sequence[str] | None, asked: Iterable[str]) -> bool:
    return ALL in (owned or ()) or set(asked) <= set(owned or ())


def _resources_contain(owned: Sequence[str] | None, asked: Iterable[str]) -> bool:
    have = owned or ()
    if ALL in have:
        return True
    return all(one in have or ("/" in one and "*/" + one.split("/", 1)[1] in have) for one in asked)


def _paths_contain(owned: Sequence[str] | None, asked: Iterable[str]) -> bool:
    def covered(path: str) -> bool:
        return any(have in (ALL, path) or (have.endswith(ALL) and path.startswith(have[:-1])) for have in owned or ())

    return all(covered(path) for path in asked)


def covers(owned: Rule, asked: Rule) -> bool:
    """Whether all that one rule gives is in the other."""
    owned_names, names = owned.get("resourceNames"), asked.get("resourceNames") or ()
    return (
        _contains(owned.get("verbs"), asked.get("verbs") or ())
        and _contains(owned.get("apiGroups"), asked.get("apiGroups") or ())
        and _resources_contain(owned.get("resources"), asked.get("resources") or ())
        and _paths_contain(owned.get("nonResourceURLs"), asked.get("nonResourceURLs") or ())
        and (not owned_names or (bool(names) and set(names) <= set(owned_names)))
    )


def broken_down(rule: Rule) -> list[Rule]:
    """Rules of one verb on one resource of one group (and name), or on one path."""
    verbs = rule.get("verbs") or ()
    parts: list[Rule] = []
    for group, resource, verb in product(rule.get("apiGroups") or (), rule.get("resources") or (), verbs):
        plain: Rule = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        names = rule.get("resourceNames") or ()
        parts += [{**plain, "resourceNames": [name]} for name in names] or [plain]
    parts += [{"nonResourceURLs": [u], "verbs": [v]} for u, v in product(rule.get("nonResourceURLs") or (), verbs)]
    return parts


def missing(owned: Sequence[Rule], asked: Sequence[Rule]) -> list[Rule]:
    """What of the asked rules none of the owned ones covers, broken down."""
    parts = [part for rule in asked for part in broken_down(rule)]
    return [part for part in parts if not any(covers(rule, part) for rule in owned)]


def compact(rules: Iterable[Rule]) -> list[Rule]:
    """Rules that differ in their verbs alone, put together; those with names or paths stay."""
    simple: dict[tuple[str, str], Rule] = {}
    out: list[Rule] = []
    for rule in rules:
        if rule.get("resourceNames") or rule.get("nonResourceURLs"):
            out.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0])
        if key in simple:
            simple[key]["verbs"] += [verb for verb in rule["verbs"] if verb not in simple[key]["verbs"]]
        else:
            simple[key] = {**rule, "verbs": list(rule["verbs"])}
            out.append(simple[key])
    return out


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
