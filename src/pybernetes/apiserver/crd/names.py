"""Which names a definition gets, and its conditions (upstream: pkg/controller/{status,establish,apiapproval})."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from pybernetes.api.jsoncopy import json_copy

from ..resource import Object
from . import conditions, structure

APPROVAL = "api-approved.kubernetes.io"
CONFORMANT = "KubernetesAPIApprovalPolicyConformant"
SEE = "see https://github.com/kubernetes/enhancements/pull/1111"


def decided(crd: Object, others: Iterable[Object], now: str) -> Object:
    """The definition with the status that it should have; `others` are all definitions, itself among them or not."""
    judged = {**crd, "status": json_copy(crd.get("status") or {})}
    _name(judged, others, now)
    _approve(judged, now)
    structure.judge(judged, now)
    return judged


def _name(crd: Object, others: Iterable[Object], now: str) -> None:
    status, requested = crd.setdefault("status", {}), crd["spec"]["names"]
    accepted: dict[str, Any] = status.get("acceptedNames") or {}
    if _same(requested, accepted) and conditions.is_true(crd, "NamesAccepted"):
        return _establish(crd, now)
    names, problem = _deconflicted(crd, requested, accepted, others)
    status["acceptedNames"] = names
    if problem:
        conditions.put(crd, "NamesAccepted", "False", *problem, now)
        if conditions.find(crd, "Established") is None:
            conditions.put(crd, "Established", "False", "NotAccepted", "not all names are accepted", now)
        return None
    conditions.put(crd, "NamesAccepted", "True", "NoConflicts", "no conflicts found", now)
    return _establish(crd, now)


def _same(requested: dict[str, Any], accepted: dict[str, Any]) -> bool:
    keys = ("plural", "singular", "kind", "listKind", "shortNames", "categories")
    return all((requested.get(key) or None) == (accepted.get(key) or None) for key in keys)


def _establish(crd: Object, now: str) -> None:
    if not conditions.is_true(crd, "Established") and not crd["metadata"].get("deletionTimestamp"):
        message = "the initial names have been accepted"
        conditions.put(crd, "Established", "True", "InitialNamesAccepted", message, now)


def _deconflicted(
    crd: Object, requested: dict[str, Any], accepted: dict[str, Any], others: Iterable[Object]
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """(names that it gets, (reason, message) of the last conflict)."""
    resources, kinds = _taken(crd, others)
    names = {"plural": "", "kind": "", **accepted}
    problem: tuple[str, str] | None = None
    single = (
        ("plural", resources, "PluralConflict"),
        ("singular", resources, "SingularConflict"),
        ("shortNames", resources, "ShortNamesConflict"),
        ("kind", kinds, "KindConflict"),
        ("listKind", kinds, "ListKindConflict"),
    )
    for key, used, reason in single:
        asked = requested.get(key)
        own = accepted.get(key) or ()
        given = [name for name in asked or () if name not in own] if key == "shortNames" else [asked]
        refused = [f'"{name}" is already in use' for name in given if name and name != own and name in used]
        if refused:
            problem = reason, refused[0] if len(refused) == 1 else f"[{', '.join(refused)}]"
        elif asked:
            names[key] = asked
        else:
            names.pop(key, None)
    if requested.get("categories"):
        names["categories"] = requested["categories"]
    else:
        names.pop("categories", None)
    return names, problem


def _taken(crd: Object, others: Iterable[Object]) -> tuple[set[str], set[str]]:
    """(names of resources, kinds) that others of its group have."""
    resources: set[str] = set()
    kinds: set[str] = set()
    for other in others:
        if other["spec"]["group"] != crd["spec"]["group"] or other["metadata"]["name"] == crd["metadata"]["name"]:
            continue
        names = (other.get("status") or {}).get("acceptedNames") or {}
        resources.update(names.get("shortNames") or (), (names.get("plural", ""), names.get("singular", "")))
        kinds.update((names.get("kind", ""), names.get("listKind", "")))
    return resources, kinds


# --- groups of the community -------------------------------------------------------------------


def is_protected(group: str) -> bool:
    """A group that only the Kubernetes project may use."""
    return any(group == suffix or group.endswith(f".{suffix}") for suffix in ("k8s.io", "kubernetes.io"))


def approval(annotation: str) -> tuple[str, str]:
    """(approved, bypassed, missing or invalid; why) of the annotation that tells who approved the API."""
    if not annotation:
        return "missing", f'protected groups must have approval annotation "{APPROVAL}", {SEE}'
    if annotation.startswith("unapproved"):
        return "bypassed", f'not approved: "{annotation}"'
    try:
        url = urlsplit(annotation)
    except ValueError:
        url = urlsplit("")
    if url.scheme and url.netloc:
        return "approved", f"approved in {annotation}"
    either = 'with either a URL or a reason starting with "unapproved"'
    return "invalid", f'protected groups must have approval annotation "{APPROVAL}" {either}, {SEE}'


_REASONS = {
    "approved": ("True", "ApprovedAnnotation"),
    "bypassed": ("False", "UnapprovedAnnotation"),
    "invalid": ("False", "InvalidAnnotation"),
    "missing": ("False", "MissingAnnotation"),
}


def _approve(crd: Object, now: str) -> None:
    if not is_protected(crd["spec"]["group"]):
        return
    state, message = approval((crd["metadata"].get("annotations") or {}).get(APPROVAL, ""))
    conformant = conditions.find(crd, CONFORMANT)
    status, reason = _REASONS[state]
    if conformant is None or (conformant.get("reason"), conformant.get("message")) != (reason, message):
        conditions.put(crd, CONFORMANT, status, reason, message, now)
