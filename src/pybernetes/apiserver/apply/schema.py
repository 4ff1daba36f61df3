"""How the fields of a kind merge, read from its schema: which maps and lists are one value, which have parts with owners of their own
(upstream: structured-merge-diff/schema, kube-openapi/pkg/schemaconv)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

Definition = Mapping[str, Any]
Kind = Literal["leaf", "struct", "map", "list", "set", "items", "deduced"]
Scalar = Literal["string", "numeric", "boolean", "untyped"]

# Defaults of built-in lists' keys by definition, which the definitions do not carry (upstream: +default="TCP" on these fields).
# Custom resources say theirs in their schema.
KEY_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "io.k8s.api.core.v1.ContainerPort": {"protocol": "TCP"},
    "io.k8s.api.core.v1.LocalObjectReference": {"name": ""},
    "io.k8s.api.core.v1.ServicePort": {"protocol": "TCP"},
}
SCALARS = frozenset(
    {
        "io.k8s.apimachinery.pkg.api.resource.Quantity",
        "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
        "io.k8s.apimachinery.pkg.apis.meta.v1.Time",
        "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime",
    }
)


class Node:
    """One place of a schema. `leaf`: one value, whatever is in it; `deduced`: no schema, maps have parts, lists have none.

    Items of a `list` are told apart by `keys`; one without a key has its default, where `defaults` has one.
    A leaf is a `scalar`, or `whole` says what is inside of it (whose lists are `items`, in their order), for checks alone.
    """

    __slots__ = ("_made", "_make", "defaults", "element", "keys", "kind", "scalar", "whole")

    def __init__(
        self,
        kind: Kind,
        make: Callable[[str], Node | None] = lambda name: None,
        element: Callable[[], Node] | None = None,
        keys: tuple[str, ...] = (),
        defaults: Mapping[str, Any] | None = None,
        scalar: Scalar | None = None,
        whole: Node | None = None,
    ) -> None:
        self.kind, self.keys, self.defaults, self.scalar, self.whole = kind, keys, defaults or {}, scalar, whole
        self.element: Callable[[], Node] = functools.cache(element) if element else _deduced
        self._make = make
        self._made: dict[str, Node | None] = {}

    def field(self, name: str) -> Node | None:
        """Of a struct: the field's node, None for one that is not declared."""
        try:
            return self._made[name]
        except KeyError:
            child = self._made[name] = self._make(name)
            return child

    def child(self, name: str) -> Node:
        """Below a key of a struct or map."""
        if self.kind != "struct":
            return self.element()
        return self._made.get(name) or self.field(name) or DEDUCED


def _deduced() -> Node:
    return DEDUCED


DEDUCED = Node("deduced")
UNTYPED = Node("leaf", scalar="untyped")
# By type and format; of a text in another format anything may be a value (upstream: schemaconv.convertPrimitive).
TEXTS = frozenset({"", "byte"})
_TYPED: Mapping[str, Node] = {
    "string": Node("leaf", scalar="string"),
    "integer": Node("leaf", scalar="numeric"),
    "number": Node("leaf", scalar="numeric"),
    "boolean": Node("leaf", scalar="boolean"),
}


class Schemas:
    """Nodes of named definitions, each made once; recursion is fine, since below is made when asked for."""

    def __init__(self, source: Mapping[str, Definition]) -> None:
        self._source = source
        self._named: dict[str, Node] = {}

    def named(self, name: str) -> Node:
        """The node of a definition."""
        if name not in self._named:
            self._named[name] = UNTYPED if name in SCALARS else self.of(self._source[name])
        return self._named[name]

    def of(self, schema: Definition) -> Node:
        """The node of a schema, which may refer to definitions."""
        if "$ref" in schema:
            node = self.named(schema["$ref"].rsplit("/", 1)[1])
            return Node("leaf", whole=node) if schema.get("x-kubernetes-map-type") == "atomic" else node
        if schema.get("x-kubernetes-int-or-string"):
            return UNTYPED
        match schema.get("type"):
            case "array":
                return self._list(schema)
            case "object":
                return self._object(schema)
            case None:
                return self._object(schema) if "properties" in schema else DEDUCED
            case "string" if schema.get("format", "") not in TEXTS:
                return UNTYPED
            case named:
                return _TYPED.get(named, UNTYPED)

    def _list(self, schema: Definition) -> Node:
        def element() -> Node:
            return self.of(schema.get("items", {}))

        match schema.get("x-kubernetes-list-type"):
            case "map":
                keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
                return Node("list", element=element, keys=keys, defaults=self._defaults(schema.get("items", {}), keys))
            case "set":
                return Node("set", element=element)
        return Node("leaf", whole=Node("items", element=element))

    def _defaults(self, items: Definition, keys: Sequence[str]) -> Mapping[str, Any]:
        """Of those keys of a list that have one."""
        name = items["$ref"].rsplit("/", 1)[1] if "$ref" in items else ""
        if name in KEY_DEFAULTS:
            return KEY_DEFAULTS[name]
        properties: Mapping[str, Definition] = (self._source[name] if name else items).get("properties") or {}
        defaults = {key: properties.get(key, {}).get("default") for key in keys}
        return {key: value for key, value in defaults.items() if value is not None}

    def _object(self, schema: Definition) -> Node:
        if schema.get("x-kubernetes-map-type") == "atomic":
            inside = {key: value for key, value in schema.items() if key != "x-kubernetes-map-type"}
            return Node("leaf", whole=self._object(inside))
        properties: Mapping[str, Definition] = schema.get("properties") or {}
        extra = schema.get("additionalProperties")
        if properties:

            def make(name: str) -> Node | None:
                if name in properties:
                    return self.of(properties[name])
                return DEDUCED if schema.get("x-kubernetes-preserve-unknown-fields") else None

            return Node("struct", make)
        return Node("map", element=lambda: self.of(extra)) if isinstance(extra, Mapping) else DEDUCED
