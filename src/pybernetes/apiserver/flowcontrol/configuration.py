"""FlowSchemas and PriorityLevelConfigurations as the request path wants them (upstream: flowcontrol/apf_controller.go).

Their order, what is there though nobody has made it, and what is ignored because it cannot be followed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..resource import Object
from .allocation import Shares
from .bootstrap import PRIORITY_LEVELS, SCHEMAS

EXEMPT, CATCH_ALL = "exempt", "catch-all"


@dataclass(frozen=True, slots=True)
class Queuing:
    """How requests of a level wait."""

    queues: int
    hand: int
    length: int  # requests in one queue


@dataclass(frozen=True, slots=True)
class LevelSpec:
    """A PriorityLevelConfiguration."""

    name: str
    uid: str
    exempt: bool
    shares: Shares
    queuing: Queuing | None = None  # None: what finds no seat is refused


@dataclass(frozen=True, slots=True)
class Schema:
    """A FlowSchema."""

    name: str
    uid: str
    level: str
    precedence: int
    distinguisher: str  # ByUser, ByNamespace or "": all are one flow
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Configuration:
    """Levels by name, schemas in the order in which they are asked; the last one of those matches all."""

    levels: Mapping[str, LevelSpec]
    schemas: tuple[Schema, ...]


def read(levels: Iterable[Object], schemas: Iterable[Object]) -> Configuration:
    """What is served by. The mandatory ones are there in any case; a schema whose level is missing is left out."""
    read_levels = {level.name: level for level in map(_level, levels) if level is not None}
    for name in (EXEMPT, CATCH_ALL):
        if name not in read_levels:
            imagined = _level({"metadata": {"name": name}, "spec": PRIORITY_LEVELS[name]})
            assert imagined is not None, name
            read_levels[name] = imagined
    ordered = [schema for schema in map(_schema, schemas) if schema.level in read_levels]
    ordered.sort(key=lambda schema: (schema.precedence, schema.name))
    names = {schema.name for schema in ordered}
    if EXEMPT not in names:
        ordered.insert(0, _schema({"metadata": {"name": EXEMPT}, "spec": SCHEMAS[EXEMPT]}))
    if CATCH_ALL not in names:
        ordered.append(_schema({"metadata": {"name": CATCH_ALL}, "spec": SCHEMAS[CATCH_ALL]}))
    return Configuration(read_levels, tuple(ordered))


def _level(obj: Object) -> LevelSpec | None:
    """None where it is broken: an object of before today's validation, of another server."""
    name, spec = obj["metadata"]["name"], obj.get("spec") or {}
    exempt = spec.get("type") == "Exempt"
    own = spec.get("exempt") if exempt else spec.get("limited")
    if own is None or exempt != (name == EXEMPT) or (spec.get("exempt") is not None) != exempt:
        return None
    percent = own.get("borrowingLimitPercent")
    nominal = own.get("nominalConcurrencyShares")
    shares = Shares(nominal or 0, own.get("lendablePercent") or 0, percent)
    uid = obj["metadata"].get("uid") or ""
    if exempt:
        return LevelSpec(name, uid, exempt, shares)
    response = own.get("limitResponse") or {}
    queuing = response.get("queuing")
    if (response.get("type") == "Queue") != (queuing is not None):
        return None
    if queuing is None:
        return LevelSpec(name, uid, exempt, shares)
    queues, hand, length = (queuing.get(key) or 0 for key in ("queues", "handSize", "queueLengthLimit"))
    if not 0 < hand <= queues:
        return None
    return LevelSpec(name, uid, exempt, shares, Queuing(queues, hand, length))


def _schema(obj: Object) -> Schema:
    spec = obj.get("spec") or {}
    return Schema(
        obj["metadata"]["name"],
        obj["metadata"].get("uid") or "",
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "",
        spec.get("matchingPrecedence") or 0,
        (spec.get("distinguisherMethod") or {}).get("type") or "",
        tuple(spec.get("rules") or ()),
    )
