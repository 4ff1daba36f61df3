"""What is posted, and is no object of its resource: reviews, bindings, evictions, token requests.

Upstream: apiserver/pkg/endpoints/handlers/create.go, which reads these as it reads objects.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.wire.http import Request, Response

from ..authentication.user import User
from ..generic.options import WriteOptions
from ..generic.strategy import OTHER_NAMESPACE
from ..generic.typemeta import Kind
from ..query import Query
from ..resource import Object, Resource
from ..schema import CompiledSchema, compiled, read_json
from ..types import RequestInfo
from . import negotiate, tables
from .handlers import answer, write_options
from .negotiate import Accepted

SHAPES = ("PartialObjectMetadata", "PartialObjectMetadataList")  # as which it can be shown; tables there are none of
SYSTEM_FIELDS = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


@dataclass(frozen=True, slots=True)
class Posted:
    """A body, in the namespace of the URL, and how its answer is to look."""

    form: Accepted
    options: WriteOptions
    body: Object

    def created(self, value: Object) -> Response:
        """201; as asked for, where that is not the whole object."""
        if self.form.kind == "PartialObjectMetadataList":
            text = f"you requested {self.form.kind}, but the requested object is not a list"
            raise errors.not_acceptable(text)
        partial = self.form.kind and value.get("kind") != "Status"
        shown = tables.partial(value, self.form.version) if partial else value
        return answer(201, shown, self.form, self.options.warnings)

    def done(self) -> Response:
        """201 with a Status."""
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return self.created(body)


async def read(
    request: Request, info: RequestInfo, query: Query, user: User, resource: Resource, keep_uid: bool = False
) -> Posted:
    """The body as one of the resource's kind. StatusError 400, 406, 415, 422.

    `keep_uid`: the body's uid is a precondition, which is wiped from others as clients do not set it.
    """
    return await read_as(request, info, query, user, Kind.of(resource), compiled(resource), keep_uid)


async def read_as(
    request: Request,
    info: RequestInfo,
    query: Query,
    user: User,
    kind: Kind,
    schema: CompiledSchema,
    keep_uid: bool = False,
    accepts: Collection[str] = (),
) -> Posted:
    """As `read`, for a kind without a resource. `accepts`: other apiVersions of it that say the same (rest.GroupVersionAcceptor)."""
    form = negotiate.accepted(request, query, kinds=SHAPES)
    options = write_options(query, user, request)
    options.learned.size = len(request.body)
    body, warnings = await apart.run(options.size, _decoded, request, options, kind, schema, accepts)
    options.warnings.extend(warnings)
    body = {**body, "kind": kind.kind, "apiVersion": kind.api_version}
    body["metadata"] = settled(body.get("metadata") or {}, info.namespace, keep_uid)
    return Posted(form, options, body)


def _decoded(
    request: Request, options: WriteOptions, kind: Kind, schema: CompiledSchema, accepts: Collection[str]
) -> tuple[Object, list[str]]:
    """The body, and what is to be warned of. StatusError 400, 415."""
    try:
        body, warnings = negotiate.decoded(request, kind.kind, schema, options.validation)
    except StatusError:
        data = negotiate.json_body(request, kind.kind)
        negotiate.require_kind(kind, read_json(data, kind.kind), request.body)  # may say it better
        raise
    if body.get("apiVersion") not in accepts or body.get("kind") != kind.kind:
        negotiate.require_kind(kind, body, request.body)
    return body, warnings


def settled(metadata: dict[str, Any], namespace: str, keep_uid: bool) -> dict[str, Any]:
    """Metadata without what the system sets, in the namespace of the URL. StatusError 400 for another one."""
    kept = {k: v for k, v in metadata.items() if k not in SYSTEM_FIELDS or (keep_uid and k == "uid")}
    given = kept.pop("namespace", "")
    if given and namespace and given != namespace:
        raise errors.bad_request(OTHER_NAMESPACE)
    return {**kept, "namespace": namespace} if namespace else kept
