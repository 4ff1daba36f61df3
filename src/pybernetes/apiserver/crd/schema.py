"""How bodies of a custom resource are read: cleaned metadata, pruning, defaults (upstream: pkg/apiserver/customresource_handler.go,
schemaCoercingDecoder).

Takes the place of `..schema.CompiledSchema`, with the same methods.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pybernetes.api import errors, gosyntax
from pybernetes.api.field import Path, invalid

from .. import pieces
from ..apply.schema import DEDUCED, Node, Schemas
from ..generic import typemeta
from ..resource import Object
from ..schema import Validation, compiled_type, definitions, read_json, unreadable
from ..schemawalker import MAX_STRICT_ERRORS, Refused, untyped
from . import objectmeta, schemarules, structural
from .structural import Structural
from .values import Rules

TYPE_META = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
ANYTHING = {"type": "object", schemarules.PRESERVE: True}
METADATA = {"$ref": f"#/definitions/{objectmeta.NAME}"}


class CustomSchema:
    """One version of a custom resource's schema."""

    merge_schema: Any = None  # strategic merge patches are refused

    def __init__(
        self,
        group: str,
        version: str,
        kind: str,
        schema: Mapping[str, Any],
        preserving: bool = False,
        counts: Sequence[tuple[str, ...]] = (),
    ) -> None:
        """`preserving`: unknown fields stay, and the schema, which need not be structural, only says what is valid.

        `counts`: where the numbers of its subresource scale are, which are no integers when they come as 2.0.
        """
        self._counts = counts
        self._group, self._version, self._kind = group, version, kind
        self._api_version = f"{group}/{version}"
        loose = preserving and bool(schema) and bool(schemarules.structure(schema, Path()))
        self.source = ANYTHING if loose or (preserving and not schema) else schema
        self.structural = Structural(ANYTHING if preserving else schema, root=True)
        self.rules = Rules(schema)
        self.zero: Object = {"apiVersion": self._api_version, "kind": kind}
        self.top_fields = ("apiVersion", "kind", "metadata", "status", *(schema.get("properties") or {"spec": {}}))

    @functools.cached_property
    def apply_node(self) -> Node:
        """How its fields merge."""
        if self.source is ANYTHING:
            return DEDUCED
        return Schemas(definitions()).of(with_metadata(self.source, root=True))

    def decode(self, body: bytes, validation: Validation = "Warn") -> tuple[Object, list[str]]:
        """The object and warnings. StatusError 400 for what cannot be read, 422 for another kind."""
        document, twice = self._read(body)
        if not document.get("kind"):
            why = f"Object 'Kind' is missing in '{body.decode(errors='replace')}'"
            raise self.refused(why) if validation == "Ignore" else unreadable(body, self._kind, why)
        given = document.get("apiVersion") or ""
        if given != self._api_version:
            text = (
                f"the API version in the data ({given}) does not match the expected API version ({self._api_version})"
            )
            raise errors.bad_request(text)
        return self._accepted(document, validation, twice)

    def _read(self, body: bytes) -> tuple[Object, list[str]]:
        """The object as Go holds it, and which fields it sets twice."""
        twice: list[str] = []
        try:
            document, doubled = pieces.untyped(body)
            plain = type(document) is dict and not doubled
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            plain = False
        if not plain:
            try:
                document, twice = untyped(read_json(body, self._kind))
            except Refused as error:
                raise self.refused(str(error)) from None
            except RecursionError:
                raise self.refused(gosyntax.TOO_DEEP) from None
        try:
            typemeta.interpreted(document)
        except typemeta.TypeMismatch as mismatch:
            raise unreadable(body, self._kind, str(mismatch)) from None
        return document or {}, twice

    def normalize(
        self, document: Any, validation: Validation = "Ignore", from_map: bool = True
    ) -> tuple[Object, list[str]]:
        """As decode, for what is decoded already (a patched object). Whole floats are integers to every custom resource."""
        return self._accepted(document, validation, [])

    def _accepted(self, document: Object, validation: Validation, twice: list[str]) -> tuple[Object, list[str]]:
        self._check_kind(document)
        unknown = [*twice, *(f'unknown field "{path}"' for path in self._clean(document))]
        if unknown and validation == "Strict":
            raise self.refused(f"strict decoding error: {', '.join(unknown[:MAX_STRICT_ERRORS])}")
        structural.prepare(document, self.structural)
        return document, unknown[:MAX_STRICT_ERRORS] if validation == "Warn" else []

    def _check_kind(self, document: Object) -> None:
        own = {"kind": self._kind, "apiVersion": self._api_version}
        problems = [
            invalid(Path(name), document[name], f"must be {value}")
            for name, value in own.items()
            if document.setdefault(name, value) != value
        ]
        if problems:
            metadata = document.get("metadata")
            name = metadata.get("name") if isinstance(metadata, dict) else ""
            raise errors.invalid(self._group, str(document["kind"]), str(name or ""), problems)

    def _clean(self, document: Object) -> list[str]:
        """Rewrites metadata and prunes, in place; the paths of what is gone."""
        self._whole_numbers(document)
        document["metadata"], names = self._clean_metadata(document.get("metadata") or {})
        unknown = [f"metadata.{name}" for name in names]
        unknown += objectmeta.clean_embedded(document, self.structural, self._clean_metadata)
        return unknown + structural.prune(document, self.structural, root=True)

    def _whole_numbers(self, document: Object) -> None:
        """2.0 as 2, but where the checks of scale are to find it (upstream: ValidateScaleSpec, which wants an int64 from the decoder)."""
        floats = []
        for *above, last in self._counts:
            holder: Any = document
            for name in above:
                holder = holder.get(name) if isinstance(holder, dict) else None
            if isinstance(holder, dict) and isinstance(holder.get(last), float):
                floats.append((holder, last, holder[last]))
        structural.whole_numbers(document)
        for holder, last, value in floats:
            holder[last] = value

    def _clean_metadata(self, metadata: Any) -> tuple[Object, list[str]]:
        compiled = compiled_type(objectmeta.NAME, self._api_version, self._kind)
        plain, unknown = compiled.normalize(metadata, "Warn", from_map=False)
        plain.pop("creationTimestamp", None) if plain.get("creationTimestamp") is None else None
        return plain, [text.removeprefix('unknown field "').removesuffix('"') for text in unknown]

    def refused(self, why: str) -> errors.StatusError:
        """400: a body that is none of the kind, and why."""
        named = f'{self._kind} in version "{self._version}" cannot be handled as a {self._kind}'
        return errors.bad_request(f"{named}: {why}")


def with_metadata(schema: Mapping[str, Any], root: bool = False, *, closed_only: bool = False) -> dict[str, Any]:
    """The schema with what every resource has, and every embedded one, declared in it. `closed_only`: not in embedded ones
    that keep unknown fields."""
    extended = dict(schema)
    for name in ("items", "additionalProperties"):
        if isinstance(extended.get(name), Mapping):
            extended[name] = with_metadata(extended[name], closed_only=closed_only)
    properties = {
        name: with_metadata(below, closed_only=closed_only)
        for name, below in (extended.get("properties") or {}).items()
    }
    embedded = extended.get("x-kubernetes-embedded-resource") and not (
        closed_only and extended.get("x-kubernetes-preserve-unknown-fields")
    )
    if root or embedded:
        properties = {**TYPE_META, "metadata": METADATA, **{k: v for k, v in properties.items() if k != "metadata"}}
    if embedded:
        required = extended.get("required") or []
        extended["required"] = [*required, *(name for name in ("kind", "apiVersion") if name not in required)]
    if properties:
        extended["properties"] = properties
    return extended
