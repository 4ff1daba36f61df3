"""What a patch makes of an object, and the words for one that makes nothing (upstream: endpoints/handlers/patch.go). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from pybernetes.api import errors, field, gosyntax
from pybernetes.api import patch as patches
from pybernetes.api.errors import StatusError
from pybernetes.api.field import Path
from pybernetes.api.govalues import go_value
from pybernetes.api.mediatypes import PatchKind
from pybernetes.api.strategicpatch import strategic_merge_patch

from ..conversion import Schema
from ..resource import Object, Resource
from ..schema import CompiledSchema, Validation, compiled_type
from . import typemeta
from .typemeta import Kind, TypeMismatch, go_type

MEMBERS = frozenset(("op", "path", "from", "value"))  # of an operation of a JSON patch

_encode = msgspec.json.Encoder().encode


def patched(kind: PatchKind, old: Object, body: Any, schema: CompiledSchema, validation: Validation) -> Any:
    """The document that the patch makes; of any kind, and perhaps no object. StatusError 400, 413, 422, 500."""
    body = _checked(kind, body, validation)
    try:
        if kind == "json":
            return patches.json_patch(old, body)
        if kind == "merge":
            return patches.merge_patch(old, body)
        return strategic_merge_patch(old, body, schema.merge_schema)
    except patches.PatchError as error:
        raise _refused(kind, error) from None
    except RecursionError:
        raise errors.bad_request(f"error decoding patch: {gosyntax.TOO_DEEP}") from None


def _checked(kind: PatchKind, body: Any, validation: Validation) -> Any:
    """The patch. StatusError 400 for what is none, in the words of Go's decoders."""
    if kind == "json":
        return _operations(body, validation)
    if body is None:
        if kind == "merge":
            raise errors.bad_request("Invalid JSON Patch")
        return {}
    if not isinstance(body, dict):
        before = "error decoding patch: " if kind == "merge" else ""
        text = f"json: cannot unmarshal {go_type(body)} into Go value of type map[string]interface {{}}"
        raise errors.bad_request(before + text)
    return body


def _operations(body: Any, validation: Validation) -> list[Any]:
    """Of a JSON patch; null has none. Upstream reads them a first time, as a type of its own, unless nobody wants to be warned."""
    if validation == "Ignore":
        before, whole, one = "json: cannot unmarshal", "jsonpatch.Patch", "jsonpatch.Operation"
    else:
        before = "error decoding patch: json: cannot unmarshal"
        whole, one = "[]handlers.jsonPatchOp", "handlers.jsonPatchOp"
    if body is None:
        return []
    if not isinstance(body, list):
        raise errors.bad_request(f"{before} {go_type(body)} into Go value of type {whole}")
    for operation in body:
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise errors.bad_request(f"{before} {go_type(operation)} into Go value of type {one}")
        for name in ("op", "path", "from") if validation != "Ignore" else ():
            value = operation.get(name)
            if value is not None and not isinstance(value, str):
                text = f"{before} {go_type(value)} into Go struct field jsonPatchOp.{name} of type string"
                raise errors.bad_request(text)
    if len(body) > patches.MAX_OPERATIONS:
        text = f"Request entity too large: The allowed maximum operations in a JSON patch is {patches.MAX_OPERATIONS}, got {len(body)}"
        raise errors.request_entity_too_large(text)
    return body


def _refused(kind: PatchKind, error: patches.PatchError) -> StatusError:
    if kind == "json" and error.op:
        status = errors.invalid("", "", "", []).status
        status["message"] = "the server rejected our request due to an error in our request"
        status["details"] = {}
        return StatusError(status)
    if error.text:
        return errors.bad_request(error.text) if error.malformed else errors.unclassified(error.text)
    return errors.bad_request(f"error decoding patch: {error.reason}")


def of_kind(kind: PatchKind, own: Kind, document: Any, name: str, versions: Collection[str] = ()) -> Object:
    """What a patch of a built-in object made, as one of its kind. StatusError 400, 422 where it says that it is another's.

    It may say that it is of another version of its kind, one of `versions`, and stays that then.
    A strategic patch is merged into a typed object, which has its kind from its type: what it says of it is not read.
    """
    if kind != "strategic":
        version = _version(own, document, name, versions)
        if version != own.api_version:
            return {**document, "kind": own.kind}
    return typemeta.renamed(own, document or {})


def _version(own: Kind, document: Any, name: str, versions: Collection[str]) -> str:
    """The apiVersion of what a patch made, which is of this kind."""
    try:
        api_version, named = typemeta.interpreted(document)
        if not api_version:
            # Read as upstream's type in memory, which has no field "metadata": the object has no name.
            raise unnamed(name)
        if named not in ("", own.kind) or api_version not in versions:
            typemeta.check(own, api_version, named or own.kind)
        return api_version
    except TypeMismatch as mismatch:
        raise _mismatched(document, mismatch) from None


def _mismatched(document: Any, mismatch: TypeMismatch) -> StatusError:
    """What is another known kind's is read as one first, and may be refused for that."""
    definition = typemeta.definition_of(*mismatch.named) if mismatch.named else ""
    if definition and mismatch.named:
        try:
            compiled_type(definition, *mismatch.named).normalize(document, from_map=False)
        except StatusError as error:
            return invalid("merge", None, document, error)
    return _invalid(document, str(mismatch))


def unnamed(name: str) -> StatusError:
    """400: an object without a name; `name` is the one on the URL (upstream: handlers/rest.go checkName)."""
    return errors.bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")


def of_custom_kind(resource: Resource, document: Any, versions: Collection[str]) -> Object:
    """As `of_kind` for a custom resource; another kind of its group passes, and is refused by its checks."""
    own = Kind.of(resource)
    try:
        api_version, named = typemeta.interpreted(document)
        typemeta.check_custom(own, api_version, named, _encode(document).decode(), versions)
    except TypeMismatch as mismatch:
        raise _invalid(document, str(mismatch)) from None
    assert isinstance(document, dict), "interpreted refuses all else that has a kind"
    return document


def _invalid(document: Any, why: str, kind: PatchKind = "merge") -> StatusError:
    text = go_value(document) if kind == "strategic" else _encode(document).decode()
    return errors.invalid("", "", "", [field.invalid(Path("patch"), text, why)])


def invalid(kind: PatchKind, body: Any, document: Any, error: StatusError) -> StatusError:
    """422: the document, which the patch `body` made, does not fit the schema, as `error` says. Of a strategic patch itself is shown."""
    return _invalid(body if kind == "strategic" else document, reason(error), kind)


def read(
    schema: Schema, document: Any, body: Any, kind: PatchKind, validation: Validation, problems: Sequence[str]
) -> tuple[Object, list[str]]:
    """What the patch `body` made, as one of its kind, and what is to be warned of. StatusError 422 as of `invalid`.

    `problems` of the patch itself are told first.
    """
    lenient: Validation = "Ignore" if validation == "Ignore" else "Warn"
    try:
        plain, unknown = schema.normalize(document, lenient, kind == "strategic")
    except StatusError as error:
        if error.code != 400:  # of a custom resource's kind, which is refused by itself
            raise
        raise invalid(kind, body, document, error) from None
    told = [*problems, *unknown]
    if told and validation == "Strict":
        why = errors.bad_request(f"strict decoding error: {', '.join(told)}")
        raise invalid(kind, body, document, why)
    return plain, told


def unknown_members(operations: Any) -> list[str]:
    """Of the operations of a JSON patch, in the words of upstream's strict decoder."""
    if not isinstance(operations, list):
        return []
    return [
        f'json patch unknown field "[{index}].{name}"'
        for index, operation in enumerate(operations)
        if isinstance(operation, dict) and not operation.keys() <= MEMBERS
        for name in operation
        if name not in MEMBERS
    ]


def reason(error: StatusError) -> str:
    """What a decoder has found, without what it has read."""
    return str(error).partition("cannot be handled as a ")[2].partition(": ")[2] or str(error)
