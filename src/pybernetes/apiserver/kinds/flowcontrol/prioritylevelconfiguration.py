"""PriorityLevelConfiguration of flowcontrol.apiserver.k8s.io/v1 (upstream: pkg/apis/flowcontrol)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pybernetes.api import field
from pybernetes.api.field import Path

from ...resource import Column, Errors, Object, Resource
from ..printing import AGE, NAME, object_age
from ..strategy import keep_spec_and_metadata, keep_status
from ..validation import go_names, same
from .flowschema import validate_status

SPEC = Path("spec")
SHARES = 30
QUEUING = {"queues": 64, "handSize": 8, "queueLengthLimit": 50}
MAX_QUEUES = 10**7
MAX_HASH_BITS = 60  # of which a hand of queues is dealt (shufflesharding)
TYPES, RESPONSES = ("Exempt", "Limited"), ("Queue", "Reject")

# The levels that are there from the start, and whose spec is fixed but for the numbers of `exempt`.
MANDATORY: Mapping[str, Object] = {
    "exempt": {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}},
    "catch-all": {
        "type": "Limited",
        "limited": {"nominalConcurrencyShares": 5, "limitResponse": {"type": "Reject"}, "lendablePercent": 0},
    },
}


def default(level: Object) -> None:
    """SetDefaults_{Exempt,Limited}PriorityLevelConfiguration, SetDefaults_QueuingConfiguration."""
    spec = level.setdefault("spec", {})
    if spec.get("type") == "Exempt" and spec.get("exempt") is None:
        spec["exempt"] = {}
    for name, shares in (("exempt", 0), ("limited", SHARES)):
        section = spec.get(name)
        if section is not None:
            for key, value in (("nominalConcurrencyShares", shares), ("lendablePercent", 0)):
                if section.get(key) is None:
                    section[key] = value
    queuing = ((spec.get("limited") or {}).get("limitResponse") or {}).get("queuing")
    if queuing is not None:
        for key, value in QUEUING.items():
            queuing[key] = queuing.get(key) or value


def prepare_create(level: Object) -> None:
    """Nobody has looked at it yet."""
    level["status"] = {}


def validate(level: Object) -> Errors:
    """ValidatePriorityLevelConfiguration."""
    name, spec = (level.get("metadata") or {}).get("name") or "", level.get("spec") or {}
    kind, limited, exempt = spec.get("type") or "", spec.get("limited"), spec.get("exempt")
    errors: Errors = []
    if (name == "exempt") != (kind == "Exempt"):
        why = "type must be 'Exempt' if and only if name is 'exempt'"
        errors.append(field.invalid(SPEC / "type", kind, why))
    if kind not in TYPES:
        errors.append(field.not_supported(SPEC / "type", kind, TYPES))
    elif kind == "Exempt":
        if limited is not None:
            errors.append(field.forbidden(SPEC / "limited", "must be nil if the type is not Limited"))
        errors += _shares(SPEC / "exempt", exempt or {})
    else:
        if exempt is not None:
            errors.append(field.forbidden(SPEC / "exempt", "must be nil if the type is Limited"))
        if limited is None:
            errors.append(field.required(SPEC / "limited", "must not be empty when type is Limited"))
        else:
            errors += _limited(SPEC / "limited", limited)
    if _not_fixed(name, spec):
        errors.append(field.invalid(SPEC, go_names(spec), f"spec of '{name}' must equal the fixed value"))
    return errors


def _not_fixed(name: str, spec: Mapping[str, Any]) -> bool:
    if name == "exempt":
        return spec.get("type") != "Exempt"
    return name in MANDATORY and not same(spec, MANDATORY[name])


def _shares(path: Path, section: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    shares, percent = section.get("nominalConcurrencyShares"), section.get("lendablePercent")
    if shares is not None and shares < 0:
        errors.append(field.invalid(path / "nominalConcurrencyShares", shares, "must be a non-negative integer"))
    if percent is not None and not 0 <= percent <= 100:
        errors.append(field.invalid(path / "lendablePercent", percent, "must be between 0 and 100, inclusive"))
    return errors


def _limited(path: Path, limited: Mapping[str, Any]) -> Errors:
    errors = _shares(path, limited)
    response, at = limited.get("limitResponse") or {}, path / "limitResponse"
    kind, queuing = response.get("type") or "", response.get("queuing")
    if kind not in RESPONSES:
        errors.append(field.not_supported(at / "type", kind, RESPONSES))
    elif kind == "Reject" and queuing is not None:
        why = "must be nil if limited.limitResponse.type is not Limited"
        errors.append(field.forbidden(at / "queuing", why))
    elif kind == "Queue" and queuing is None:
        why = "must not be empty if limited.limitResponse.type is Limited"
        errors.append(field.required(at / "queuing", why))
    elif queuing is not None:
        errors += _queuing(at / "queuing", queuing)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        why = "if specified, must be a non-negative integer"
        errors.append(field.invalid(path / "borrowingLimitPercent", borrowing, why))
    return errors


def _queuing(path: Path, queuing: Mapping[str, Any]) -> Errors:
    errors: Errors = []
    for name in ("queueLengthLimit", "queues", "handSize"):
        if (value := queuing.get(name) or 0) <= 0:
            errors.append(field.invalid(path / name, value, "must be positive"))
    queues, hand = queuing.get("queues") or 0, queuing.get("handSize") or 0
    if queues > MAX_QUEUES:
        errors.append(field.invalid(path / "queues", queues, f"must not be greater than {MAX_QUEUES}"))
    if hand > queues:
        errors.append(field.invalid(path / "handSize", hand, f"should not be greater than queues ({queues})"))
    elif not errors and math.ceil(math.log2(queues) * hand) > MAX_HASH_BITS:
        text = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        errors.append(field.invalid(path / "handSize", hand, text))
    return errors


def validate_update(new: Object, old: Object) -> Errors:
    """As on creation."""
    return validate(new)


def row(level: Object, now: datetime) -> list[Any]:
    """Name, Type, NominalConcurrencyShares, Queues, HandSize, QueueLengthLimit, Age."""
    spec = level.get("spec") or {}
    limited = spec.get("limited") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    numbers = [queuing.get(name, "<none>") for name in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", "<none>")
    return [level["metadata"]["name"], spec.get("type") or "", shares, *numbers, object_age(level, now)]


RESOURCE = Resource(
    group="flowcontrol.apiserver.k8s.io",
    version="v1",
    name="prioritylevelconfigurations",
    kind="PriorityLevelConfiguration",
    schema="io.k8s.api.flowcontrol.v1.PriorityLevelConfiguration",
    namespaced=False,
    status=True,
    default=default,
    prepare_create=prepare_create,
    prepare_update=keep_status,
    prepare_status=keep_spec_and_metadata,
    validate=validate,
    validate_update=validate_update,
    validate_status=validate_status,
    columns=(
        NAME,
        Column("Type", description="Whether requests of this level are limited"),
        Column("NominalConcurrencyShares", description="The level's share of the server"),
        Column("Queues", description="How many queues there are"),
        Column("HandSize", description="How many queues a flow may be put into"),
        Column("QueueLengthLimit", description="How many requests may wait in a queue"),
        AGE,
    ),
    row=row,
)
