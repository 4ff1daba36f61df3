"""metadata.managedFields: its entries, their order, and how many there may be (upstream: managedfields/internal/managedfields.go, capmanagers.go)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from . import fieldset
from .fieldset import FieldSet

MAX_UPDATE_MANAGERS = 10  # upstream's DefaultMaxUpdateManagers
ANCIENT = "ancient-changes"  # who the oldest are merged into
MAX_MANAGER = 128  # characters of a manager's name that is taken from the User-Agent


class Identity(NamedTuple):
    """Who: one entry each. Appliers are the same whatever version they apply: their `api_version` is ""."""

    manager: str
    operation: str  # Apply or Update
    api_version: str
    subresource: str

    def __str__(self) -> str:
        """As conflicts name it."""
        name = f'"{self.manager}"'
        if self.subresource:
            name += f' with subresource "{self.subresource}"'
        return name


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manages, in which version, since when (RFC 3339)."""

    fields: FieldSet
    api_version: str
    time: str = ""


Managed = dict[Identity, Entry]


def identity(manager: str, operation: str, api_version: str, subresource: str) -> Identity:
    """Of who writes now."""
    version = "" if operation == "Apply" else api_version
    return Identity(manager or "unknown", operation, version, subresource)


def manager_of(field_manager: str, user_agent: str) -> str:
    """The name asked for, else the beginning of the User-Agent."""
    if field_manager:
        return field_manager
    name = user_agent.partition("/")[0]
    printable = name if name.isprintable() else "".join(c for c in name if c.isprintable())
    return printable[:MAX_MANAGER]


def decode(entries: Any) -> Managed:
    """ValueError for entries that no server wrote."""
    managers: Managed = {}
    for entry in entries or ():
        operation, version = entry.get("operation"), entry.get("apiVersion", "")
        if operation not in ("Apply", "Update") or entry.get("fieldsType", "FieldsV1") != "FieldsV1":
            raise ValueError(f"managed fields entry {entry!r} is neither of Apply nor of Update")
        who = identity(entry.get("manager", ""), operation, version, entry.get("subresource", ""))
        managers[who] = Entry(entry.get("fieldsV1") or {}, version, entry.get("time") or "")
    return managers


def encode(managed: Managed) -> list[dict[str, Any]]:
    """In upstream's order: appliers first, then by age, name, version."""
    entries = []
    for who, entry in sorted(managed.items(), key=_order):
        item: dict[str, Any] = {
            "manager": who.manager,
            "operation": who.operation,
            "apiVersion": entry.api_version,
            "time": entry.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": entry.fields,
        }
        if not entry.time:
            del item["time"]
        if who.subresource:
            item["subresource"] = who.subresource
        entries.append(item)
    return entries


def _order(pair: tuple[Identity, Entry]) -> tuple[str, str, str, str, str]:
    who, entry = pair
    return who.operation, entry.time, who.manager, entry.api_version, who.subresource


def is_reset(entries: Any) -> bool:
    """Whether an update says that nobody manages anything: an empty list, or one empty entry."""
    return isinstance(entries, list) and (not entries or (len(entries) == 1 and entries[0] == {}))


def cap(managed: Managed, limit: int = MAX_UPDATE_MANAGERS) -> None:
    """Merges the oldest updates of a version into one entry until there are few enough. Changes `managed`."""
    updates = [pair for pair in managed.items() if pair[0].operation == "Update"]
    if len(updates) <= limit:
        return
    count = len(updates)
    first: dict[str, Identity] = {}
    for who, entry in sorted(updates, key=lambda pair: (pair[1].time, pair[0])):
        if count <= limit:
            return
        version = entry.api_version
        if version not in first:
            first[version] = who
            continue
        bucket = Identity(ANCIENT, "Update", version, "")
        if bucket not in managed:
            managed[bucket] = managed.pop(first[version])
        fields = fieldset.union(entry.fields, managed[bucket].fields)
        managed[bucket] = replace(managed[bucket], fields=fields, time=entry.time)
        if who != bucket:
            del managed[who]
        count -= 1
