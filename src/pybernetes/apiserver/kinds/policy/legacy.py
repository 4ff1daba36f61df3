"""policy/v1beta1 (until 1.25): budgets whose empty selector selects nothing, and pod security policies.

Upstream: pkg/apis/policy/v1beta1/conversion.go, pkg/apis/policy/types.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...conversion import Convert
from ...resource import Errors, Object
from ..versions import Family, family, older
from . import poddisruptionbudget as budgets
from . import podsecuritypolicy

HUB, BETA = "policy/v1", "policy/v1beta1"
MARK = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"
NOTHING = {"matchExpressions": [{"key": MARK, "operator": "Exists"}]}  # in v1; {} in v1beta1
EVERYTHING = {"matchExpressions": [{"key": MARK, "operator": "DoesNotExist"}]}  # in v1beta1; {} in v1


def _plain(selector: Mapping[str, Any]) -> dict[str, Any]:
    """Without empty fields."""
    terms = {name: value for name, value in selector.items() if value}
    if "matchExpressions" in terms:
        terms["matchExpressions"] = [{k: v for k, v in one.items() if v} for one in terms["matchExpressions"]]
    return terms


def _other(selector: Mapping[str, Any] | None, empty: Mapping[str, Any], marked: Mapping[str, Any]) -> Any:
    """`empty`: what {} becomes; `marked`: what becomes {}. The mark has no place in other selectors."""
    if selector is None:
        return None
    plain = _plain(selector)
    if not plain:
        return dict(empty)
    if plain == marked:
        return {}
    expressions = selector.get("matchExpressions") or ()
    if not any(one.get("key") == MARK for one in expressions):
        return dict(selector)
    kept = [one for one in expressions if one.get("key") != MARK]
    converted = {name: value for name, value in selector.items() if name != "matchExpressions"}
    return converted | ({"matchExpressions": kept} if kept else {})


def _convert(version: str, empty: Mapping[str, Any], marked: Mapping[str, Any]) -> Convert:
    def convert(budget: Object) -> Object:
        converted, spec = {**budget, "apiVersion": version}, budget.get("spec") or {}
        if spec.get("selector") is not None:
            converted["spec"] = {**spec, "selector": _other(spec["selector"], empty, marked)}
        return converted

    return convert


to_hub = _convert(HUB, NOTHING, EVERYTHING)
from_hub = _convert(BETA, EVERYTHING, NOTHING)


def validate_status(new: Object, old: Object) -> Errors:
    """Counts may be anything."""
    return []


FAMILIES: tuple[Family, ...] = (
    family(
        budgets.RESOURCE,
        older(budgets.RESOURCE, "policy.v1beta1", validate_status=validate_status),
        functions={(BETA, HUB): to_hub, (HUB, BETA): from_hub},
    ),
    podsecuritypolicy.FAMILY,
)
