"""How objects of a kind become those of its other versions (upstream: apimachinery/pkg/conversion and runtime.Scheme; for custom
resources apiextensions pkg/apiserver/conversion).

One version of a kind is its hub: objects are stored in it, and a version that has functions to it and from it has all it needs.
Versions are named by their apiVersion (`v1`, `autoscaling/v2`), for a kind may be in several groups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .apply.schema import Node
from .schema import CompiledSchema, Validation, compiled_type

Object = dict[str, Any]
Convert = Callable[[Object], Object]


class UnknownVersion(Exception):
    """No version of the kind; the text is its apiVersion."""


class Schema(Protocol):
    """How bodies of one version are read, and how their fields merge: of a built-in kind or of a custom resource."""

    top_fields: tuple[str, ...]

    @property
    def apply_node(self) -> Node:
        """The whole object's place in the rules of server-side apply."""
        ...

    def normalize(
        self, document: Any, validation: Validation = "Ignore", from_map: bool = True
    ) -> tuple[Object, list[str]]:
        """The object of a decoded body, and what is to be warned of; the body may be changed. StatusError 400, 422.

        `from_map`: as a strategic patch leaves it, which upstream reads otherwise.
        """
        ...


class Conversions(Protocol):
    """The versions of one kind. An object that is to be converted is the converter's from then on: who still needs it hands in a copy."""

    @property
    def hub(self) -> str:
        """The version in which objects are stored."""
        ...

    @property
    def versions(self) -> Collection[str]:
        """All of them, also those that are not served."""
        ...

    @property
    def waits(self) -> bool:
        """Whether another server is asked: then `converted` knows no version but the object's own."""
        ...

    def schema(self, version: str) -> Schema:
        """Of a version. UnknownVersion."""
        ...

    def default(self, obj: Object) -> None:
        """Sets the defaults of the object's own version, in place, as upstream does with what it reads from its storage."""
        ...

    def converted(self, obj: Object, version: str) -> Object:
        """The object in the version; without the version's defaults. UnknownVersion, also for the one that it has."""
        ...

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """As `converted`, of many at once, whoever must be asked for it. StatusError 500 where that one fails."""
        ...


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a built-in kind."""

    schema: str  # name in api/data/definitions.json
    default: Callable[[Object], None] | None = None


@dataclass(frozen=True)
class ConversionTable:
    """`Conversions` of a built-in kind: pure functions by (from, to), which give objects of the version that they are for.

    What has no function goes by way of the hub.
    """

    kind: str
    hub: str
    versions: Mapping[str, Version]
    functions: Mapping[tuple[str, str], Convert]
    waits = False

    def schema(self, version: str) -> CompiledSchema:
        """See `Conversions`."""
        if version not in self.versions:
            raise UnknownVersion(version)
        return compiled_type(self.versions[version].schema, version, self.kind)

    def default(self, obj: Object) -> None:
        """See `Conversions`; what has an unknown version has no defaults."""
        version = self.versions.get(obj["apiVersion"])
        if version is not None and version.default is not None:
            version.default(obj)

    def converted(self, obj: Object, version: str) -> Object:
        """See `Conversions`."""
        source = obj["apiVersion"]
        for name in (source, version):
            if name not in self.versions:
                raise UnknownVersion(name)
        if source == version:
            return obj
        direct = self.functions.get((source, version))
        if direct is not None:
            return direct(obj)
        return self.functions[self.hub, version](self.functions[source, self.hub](obj))

    async def convert(self, objects: Sequence[Object], version: str) -> list[Object]:
        """See `Conversions`; asks nobody."""
        return [self.converted(obj, version) for obj in objects]
