"""What the expression of a mutation makes of an object (upstream: policy/mutating/patch/{json_patch,smd}.go). Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pybernetes.api import patch
from pybernetes.cel import mutation
from pybernetes.cel.errors import CostExceeded
from pybernetes.cel.mutation import Unfit

from ...apply import fieldset, typed
from ...apply.schema import Node
from ...apply.typed import TypedError
from ...resource import Object
from ..webhook.dispatch import inapplicable

TOO_LARGE = "the result of the expression is too large"


class Inapplicable(Exception):
    """A mutation that cannot be done: the failure policy decides."""


def operations(value: Any) -> list[dict[str, Any]]:
    """A JSON patch, of the JSONPatch values of an expression. Inapplicable."""
    patch = []
    for item in value:
        operation: dict[str, Any] = {"op": "", "path": ""}
        for name in item.names():
            field = item.get(name)
            if name == "value":
                _check_names(field)
                operation[name] = _json(
                    field, "JSONPath valueExpression evaluated to a type that could not marshal to JSON"
                )
            elif field or name != "from":
                operation[name] = field
        patch.append(operation)
    return patch


def json_patched(obj: Object, steps: Sequence[dict[str, Any]]) -> Any:
    """The patched document; the same object where a test of the patch fails. Inapplicable."""
    try:
        return patch.json_patch(obj, list(steps))
    except patch.PatchError as error:
        if error.op == "test":
            return obj
        raise Inapplicable(f"JSON Patch: {inapplicable(error)}") from None


def configuration(value: Any, obj: Object) -> Object:
    """What an Object value applies, of the kind of the object that it is for. Inapplicable."""
    _check_names(value)
    applied: Object = _json(value, "error applying patch: failed to convert patch object to typed object", exact=True)
    return {**applied, "apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}


def applied(obj: Object, config: Object, node: Node) -> Object:
    """The object with a configuration laid over it, as server-side apply merges but with no managers. Inapplicable."""
    try:
        problems = typed.check(config, node)
    except RecursionError:
        problems = ["exceeded max depth"]
    if problems:
        listed = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {p}" for p in problems)
        raise Inapplicable(f"error applying patch: failed to convert patch object to typed object: {listed}")
    atomics = list(_atomics(config, node, ()))
    if atomics:
        why = "may not mutate atomic arrays, maps or structs"
        raise Inapplicable(f"error applying patch: invalid ApplyConfiguration: {why}: {', '.join(atomics)}")
    try:
        merged: Object = typed.merge(obj, config, node)
    except TypedError as error:
        raise Inapplicable(f"error applying patch: failed to merge patch: {error}") from None
    return merged


def _atomics(value: Any, node: Node, path: tuple[str, ...]) -> Iterator[str]:
    """Where lists and maps are one value: what is not said in them would be lost."""
    if isinstance(value, list):
        if node.kind in ("leaf", "deduced"):
            yield _place(path)
            return
        for index, item in enumerate(value):
            yield from _atomics(item, node.element(), (*path, f"[{index}]"))
    elif isinstance(value, dict):
        if node.kind == "leaf":
            yield _place(path)
            return
        for name, item in value.items():
            yield from _atomics(item, node.child(name), (*path, fieldset.text((f"f:{name}",))))


def _place(path: Sequence[str]) -> str:
    return "".join(path)


def _check_names(value: Any) -> None:
    try:
        problems = mutation.misnamed(value)
    except (CostExceeded, RecursionError):
        raise Inapplicable(TOO_LARGE) from None
    if problems:
        raise Inapplicable("type mismatch: " + "\n".join(problems))


def _json(value: Any, what: str, exact: bool = False) -> Any:
    try:
        return mutation.plain(value, exact)
    except Unfit as error:
        raise Inapplicable(f"{what}: {error}") from None
    except (CostExceeded, RecursionError):
        raise Inapplicable(TOO_LARGE) from None
