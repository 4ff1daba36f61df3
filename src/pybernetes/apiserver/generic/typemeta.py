"""Whether a body is of the kind that it is written to, in upstream's words. Pure.

Upstream: apimachinery/pkg/runtime/serializer/{json,versioning}, conversion; for custom resources apiextensions
pkg/apiserver/{customresource_handler,conversion}. Without it a patch could store an object as another kind's.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..resource import Object, Resource
from ..schema import definitions

SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"  # how upstream's registry of types calls itself
# Packages of the types in memory, where they are not called as the group's first word (upstream: pkg/apis).
PACKAGES = {
    "": "core",
    "events.k8s.io": "core",
    "internal.apiserver.k8s.io": "apiserverinternal",
}
_HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'


class TypeMismatch(Exception):
    """A body that is none of the kind; the text is upstream's. `named`: (apiVersion, kind) as far as it says them."""

    def __init__(self, text: str, named: tuple[str, str] | None = None) -> None:
        super().__init__(text)
        self.named = named


class OtherVersion(TypeMismatch):
    """The kind in another version."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What bodies are read as."""

    group: str
    version: str
    kind: str

    @classmethod
    def of(cls, resource: Resource) -> Kind:
        """The kind of a resource's objects."""
        return cls(resource.group, resource.version, resource.kind)

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def package(self) -> str:
        """Of the Go type in memory."""
        return package(self.group)


def package(group: str) -> str:
    """The package of a group's types in memory."""
    return PACKAGES.get(group) or group.split(".")[0]


def go_type(value: Any) -> str:
    """A JSON value's type, as Go's decoder calls it."""
    if isinstance(value, bool):
        return "bool"
    for kind, name in ((str, "string"), (dict, "object"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "number"


def interpreted(document: Any) -> tuple[str, str]:
    """(apiVersion, kind) of a body, "" for what it does not say; null is an empty object. TypeMismatch for what has none."""
    before = "couldn't get version/kind; json parse error: json: cannot unmarshal"
    if document is None:
        return "", ""
    if not isinstance(document, dict):
        raise TypeMismatch(f"{before} {go_type(document)} into Go value of type {_HEAD}")
    values = []
    for name in ("apiVersion", "kind"):
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise TypeMismatch(f"{before} {go_type(value)} into Go struct field .{name} of type string")
        values.append(value or "")
    api_version, kind = values
    if api_version.count("/") > 1:
        raise TypeMismatch(f"unexpected GroupVersion string: {api_version}")
    return api_version, kind


def _registered() -> dict[tuple[str, str], str]:
    return _registered_of(len(definitions()))


@functools.cache
def _registered_of(count: int) -> dict[tuple[str, str], str]:
    """The definition of each (apiVersion, kind) that upstream's types have; there are more with old group-versions."""
    names = {}
    for name, definition in definitions().items():
        for one in definition.get("x-kubernetes-group-version-kind", ()):
            group, version = one["group"], one["version"]
            names[f"{group}/{version}" if group else version, one["kind"]] = name
    return names


def definition_of(api_version: str, kind: str) -> str:
    """The name of a built-in kind's definition; "" where upstream has no such type."""
    return _registered().get((api_version, kind), "")


def check(own: Kind, api_version: str, kind: str) -> None:
    """TypeMismatch where a body that says so is no body of a built-in kind."""
    if (api_version, kind) == (own.api_version, own.kind):
        return
    named = (api_version, kind)
    if not definition_of(api_version, kind):
        text = f'no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"'
        raise TypeMismatch(text, named)
    group, _, version = api_version.rpartition("/")
    if kind == own.kind and package(group) == own.package:  # the same type in memory
        text = (
            f"the API version in the data ({api_version}) does not match the expected API version ({own.api_version})"
        )
        raise OtherVersion(text, named)
    raise TypeMismatch(f"converting ({version}.{kind}) to ({own.package}.{own.kind}): unknown conversion", named)


def check_custom(own: Kind, api_version: str, kind: str, body: str, versions: Collection[str]) -> None:
    """TypeMismatch where a body cannot be read as a custom resource's; another kind of its group is found later, by its checks.

    `versions`: the apiVersions of its kind; `body`: for the message.
    """
    if not kind:
        raise TypeMismatch(f"Object 'Kind' is missing in '{body}'")
    group, _, version = api_version.rpartition("/")
    if group != own.group:
        named = f"{group}/{version}, Kind={kind}"
        text = f'{named} is unstructured and is not suitable for converting to "{own.api_version}"'
        raise TypeMismatch(text, (api_version, kind))
    if api_version not in versions:
        text = f"request to convert CR from an invalid group/version: {api_version}"
        raise TypeMismatch(text, (api_version, kind))


def renamed(own: Kind, obj: Object) -> Object:
    """The object as one of its resource, whatever was stored once: what cannot be told apart by kind is told by its key."""
    return {**obj, "apiVersion": own.api_version, "kind": own.kind}
