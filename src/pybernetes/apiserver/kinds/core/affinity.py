"""Where a pod may run: node selectors, affinity, spreading, taints and tolerations (upstream: core validation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path
from pybernetes.api.names import dns1123_label_errors, dns1123_subdomain_errors, label_value_errors

from ..validation import Errors, each, label_selector, qualified_name

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
BAD_OPERATOR = "not a valid selector operator"
Object = Mapping[str, Any]


# --- taints and tolerations ---------------------------------------------------------------------


def taints(path: Path, items: Sequence[Object]) -> Errors:
    """Of a node."""
    errors: Errors = []
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(items):
        at, key, effect, value = (
            path / index,
            taint.get("key") or "",
            taint.get("effect") or "",
            taint.get("value") or "",
        )
        errors += qualified_name(at / "key", key)
        if problems := label_value_errors(value):
            errors.append(field.invalid(at / "value", value, ";".join(problems)))
        if not effect:
            errors.append(field.required(at / "effect"))
        elif effect not in TAINT_EFFECTS:
            errors.append(field.not_supported(at / "effect", effect, TAINT_EFFECTS))
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            again = field.duplicate(at, shown)
            why = "taints must be unique by key and effect pair"
            errors.append(field.FieldError(again.reason, again.field, f"{again.body}: {why}"))
        seen.add((key, effect))
    return errors


def tolerations(path: Path, items: Sequence[Object]) -> Errors:
    """Of a pod."""
    errors: Errors = []
    for index, toleration in enumerate(items):
        errors += _toleration(path / index, toleration)
    return errors


def _toleration(path: Path, toleration: Object) -> Errors:
    errors: Errors = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    effect, value = toleration.get("effect") or "", toleration.get("value") or ""
    if key:
        errors += qualified_name(path / "key", key)
    elif operator != "Exists":
        why = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(field.invalid(path / "operator", operator, why))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        why = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(field.invalid(path / "effect", effect, why))
    if operator in ("", "Equal"):
        if problems := label_value_errors(value):
            errors.append(field.invalid(path / "operator", value, ";".join(problems)))
    elif operator != "Exists":
        errors.append(field.not_supported(path / "operator", operator, ("Equal", "Exists")))
    elif value:
        errors.append(field.invalid(path / "operator", value, "value must be empty when `operator` is 'Exists'"))
    if effect and effect not in TAINT_EFFECTS:
        errors.append(field.not_supported(path / "effect", effect, TAINT_EFFECTS))
    return errors


# --- node selectors -----------------------------------------------------------------------------


def node_selector(path: Path, selector: Object) -> Errors:
    """At least one term; terms may be empty."""
    terms = selector.get("nodeSelectorTerms") or ()
    at = path / "nodeSelectorTerms"
    if not terms:
        return [field.required(at, "must have at least one node selector term")]
    return [error for index, term in enumerate(terms) for error in _term(at / index, term)]


def _term(path: Path, term: Object, *, check_values: bool = True) -> Errors:
    errors: Errors = []
    for index, requirement in enumerate(term.get("matchExpressions") or ()):
        errors += _label_requirement(path / "matchExpressions" / index, requirement, check_values)
    for index, requirement in enumerate(term.get("matchFields") or ()):
        errors += _field_requirement(path / "matchFields" / index, requirement)
    return errors


def _label_requirement(path: Path, requirement: Object, check_values: bool) -> Errors:
    errors: Errors = []
    operator, values = requirement.get("operator") or "", requirement.get("values") or ()
    at = path / "values"
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(field.required(at, "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(field.forbidden(at, why))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(field.required(at, "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(field.invalid(path / "operator", operator, BAD_OPERATOR))
    errors += qualified_name(path / "key", requirement.get("key") or "")
    if check_values:
        for index, value in enumerate(values):
            errors += each(at / index, value, label_value_errors(value))
    return errors


def _field_requirement(path: Path, requirement: Object) -> Errors:
    errors: Errors = []
    operator, key, values = (
        requirement.get("operator") or "",
        requirement.get("key") or "",
        requirement.get("values") or (),
    )
    if operator not in ("In", "NotIn"):
        errors.append(field.invalid(path / "operator", operator, BAD_OPERATOR))
    elif len(values) != 1:
        why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        errors.append(field.required(path / "values", why))
    if key != "metadata.name":
        errors.append(field.invalid(path / "key", key, "not a valid field selector key"))
        return errors
    for index, value in enumerate(values):
        errors += each(path / "values" / index, value, dns1123_subdomain_errors(value))
    return errors


# --- affinity -----------------------------------------------------------------------------------

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity(path: Path, item: Object) -> Errors:
    """To nodes, to pods, and against pods."""
    errors: Errors = []
    if node := item.get("nodeAffinity"):
        errors += node_affinity(path / "nodeAffinity", node)
    for name in ("podAffinity", "podAntiAffinity"):
        if pods := item.get(name):
            errors += _pod_affinity(path / name, pods)
    return errors


def node_affinity(path: Path, item: Object) -> Errors:
    """What must hold, and what is preferred with which weight."""
    errors: Errors = []
    if (selector := item.get(REQUIRED)) is not None:
        errors += node_selector(path / REQUIRED, selector)
    for index, term in enumerate(item.get(PREFERRED) or ()):
        at = path / PREFERRED / index
        errors += _weight(at, term)
        errors += _term(at / "preference", term.get("preference") or {}, check_values=False)
    return errors


def _weight(path: Path, term: Object) -> Errors:
    weight = term.get("weight") or 0
    return [] if 0 < weight <= 100 else [field.invalid(path / "weight", weight, "must be in the range 1-100")]


def _pod_affinity(path: Path, item: Object) -> Errors:
    errors: Errors = []
    for index, term in enumerate(item.get(REQUIRED) or ()):
        errors += _pod_term(path / REQUIRED / index, term)
    for index, weighted in enumerate(item.get(PREFERRED) or ()):
        at = path / PREFERRED / index
        errors += _weight(at, weighted)
        errors += _pod_term(at / "podAffinityTerm", weighted.get("podAffinityTerm") or {})
    return errors


def _pod_term(path: Path, term: Object) -> Errors:
    errors = label_selector(path / "labelSelector", term.get("labelSelector"))
    errors += label_selector(path / "namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        errors += each(path / "namespace", name, dns1123_label_errors(name))
    errors += _match_keys(path, term)
    key = term.get("topologyKey") or ""
    if not key:
        errors.append(field.required(path / "topologyKey", "can not be empty"))
    return errors + qualified_name(path / "topologyKey", key)


def _match_keys(path: Path, term: Object) -> Errors:
    """matchLabelKeys and mismatchLabelKeys, which creation has added to the selector by now."""
    match, mismatch = term.get("matchLabelKeys") or (), term.get("mismatchLabelKeys") or ()
    selector = term.get("labelSelector")
    errors = _label_keys(path / "matchLabelKeys", match, selector)
    errors += _label_keys(path / "mismatchLabelKeys", mismatch, selector)
    used = set((selector or {}).get("matchLabels") or ())
    for requirement in (selector or {}).get("matchExpressions") or ():
        key = requirement.get("key") or ""
        if key in match and key in used:
            last = max(index for index, name in enumerate(match) if name == key)
            why = "exists in both matchLabelKeys and labelSelector"
            errors.append(field.invalid(path / last, key, why))  # the path is upstream's
        used.add(key)
    for index, key in enumerate(match):
        if key in mismatch:
            why = "exists in both matchLabelKeys and mismatchLabelKeys"
            errors.append(field.invalid(path / "matchLabelKeys" / index, key, why))
    return errors


def _label_keys(path: Path, keys: Sequence[str], selector: Object | None) -> Errors:
    if keys and selector is None:
        return [field.forbidden(path, "must not be specified when labelSelector is not set")]
    return [error for index, key in enumerate(keys) for error in qualified_name(path / index, key)]


# --- spreading ----------------------------------------------------------------------------------

_ACTIONS = ("DoNotSchedule", "ScheduleAnyway")


def spread_constraints(path: Path, items: Sequence[Object]) -> Errors:
    """topologySpreadConstraints."""
    errors: Errors = []
    kinds = [(c.get("topologyKey") or "", c.get("whenUnsatisfiable") or "") for c in items]
    last = {kind: index for index, kind in enumerate(kinds)}
    for index, constraint in enumerate(items):
        at, (key, action) = path / index, kinds[index]
        if (skew := constraint.get("maxSkew") or 0) <= 0:
            errors.append(field.invalid(at / "maxSkew", skew, "must be greater than zero"))
        if not key:
            errors.append(field.required(at / "topologyKey", "can not be empty"))
        if action not in _ACTIONS:
            errors.append(field.not_supported(at / "whenUnsatisfiable", action, _ACTIONS))
        if index < last[kinds[index]]:
            errors.append(field.duplicate(at / "{topologyKey, whenUnsatisfiable}", f"{{{key}, {action}}}"))
        errors += _min_domains(at / "minDomains", constraint.get("minDomains"), action)
        for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
            if (policy := constraint.get(name)) not in (None, "Honor", "Ignore"):
                errors.append(field.not_supported(at / name, policy, ("Honor", "Ignore")))
        errors += _match_keys(at, constraint)
        errors += label_selector(at / "labelSelector", constraint.get("labelSelector"))
    return errors


def _min_domains(path: Path, count: int | None, action: str) -> Errors:
    errors: Errors = []
    if count is None:
        return errors
    if count <= 0:
        errors.append(field.invalid(path, count, "must be greater than zero"))
    if action != "DoNotSchedule":
        why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
        errors.append(field.invalid(path, count, why))
    return errors
