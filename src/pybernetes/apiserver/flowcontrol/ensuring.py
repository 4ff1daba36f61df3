"""What is to be done so that the bootstrap objects are as they should (upstream: pkg/registry/flowcontrol/ensurer)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..resource import Object
from .bootstrap import AUTOUPDATE, MANDATORY

# strconv.ParseBool
BOOLEANS = dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True) | dict.fromkeys(
    ("0", "f", "F", "FALSE", "false", "False"), False
)


@dataclass(frozen=True, slots=True)
class Create:
    """One that is missing, also where somebody has deleted it."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Update:
    """One whose spec or annotation is another one; with the resource version that it was judged by."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Delete:
    """One that says it is kept by us, and that is not among ours: of an older release."""

    name: str
    resource_version: str


Action = Create | Update | Delete


def plan(mandatory: Mapping[str, Object], present: Iterable[Object]) -> list[Action]:
    """For one resource; `mandatory` has specs with all defaults, by name."""
    by_name = {obj["metadata"]["name"]: obj for obj in present}
    actions: list[Action] = []
    for name, spec in mandatory.items():
        if name not in by_name:
            actions.append(Create({"metadata": {"name": name, "annotations": {AUTOUPDATE: "true"}}, "spec": spec}))
        elif (changed := _changed(by_name[name], spec)) is not None:
            actions.append(Update(changed))
    return [*actions, *_removed(by_name.values(), mandatory)]


def _removed(present: Iterable[Object], names: Collection[str]) -> Iterable[Action]:
    for obj in present:
        metadata = obj["metadata"]
        if metadata["name"] not in names and _says(obj):
            yield Delete(metadata["name"], metadata.get("resourceVersion") or "")


def _changed(obj: Object, spec: Object) -> Object | None:
    """None where it is as it should be. Who has changed a suggested one keeps it: the annotation says false from then on."""
    metadata, said = obj["metadata"], _says(obj)
    # Without a word on it: one that was never changed is taken to be ours.
    ours = metadata.get("generation") == 1 if said is None else said
    kept = metadata["name"] in MANDATORY or ours
    new = _with_settings(spec, obj) if kept else obj.get("spec")
    if said == kept and new == obj.get("spec"):
        return None
    annotations = {**(metadata.get("annotations") or {}), AUTOUPDATE: "true" if kept else "false"}
    return {**obj, "metadata": {**metadata, "annotations": annotations}, "spec": new}


def _with_settings(spec: Object, obj: Object) -> Object:
    """The level `exempt` is mandatory, and yet its shares are the operator's to set."""
    exempt = (obj.get("spec") or {}).get("exempt")
    return {**spec, "exempt": exempt} if "exempt" in spec and exempt is not None else spec


def _says(obj: Object) -> bool | None:
    """What the annotation says; None where it says nothing, or nothing that can be understood."""
    return BOOLEANS.get((obj["metadata"].get("annotations") or {}).get(AUTOUPDATE, ""))
