"""POST deployments/NAME/rollback of extensions/v1beta1 and apps/v1beta1 (until 1.16; upstream: pkg/registry/apps/deployment/storage).

The wish is noted in an annotation; the deployment controller fulfils it.
"""

from __future__ import annotations

from pybernetes.api import errors, field
from pybernetes.api.field import Path
from pybernetes.api.jsoncopy import json_copy
from pybernetes.wire.http import Request, Response

from ..authentication.user import User
from ..generic.options import WriteOptions
from ..generic.store import GenericStore
from ..generic.typemeta import Kind
from ..kinds.apps.legacy import ROLLBACK
from ..query import Query
from ..resource import Object
from ..schema import compiled_type
from ..types import RequestInfo
from .posted import read_as
from .routes import not_found

KIND, VERSION = "DeploymentRollback", "v1beta1"


class Rollback:
    """Over the store of apps/v1 deployments."""

    def __init__(self, deployments: GenericStore) -> None:
        self._deployments = deployments

    async def create(self, request: Request, info: RequestInfo, query: Query, user: User) -> Response:
        """201. StatusError 400, 404, 422."""
        if info.version != VERSION:
            raise not_found()
        kind = Kind(info.group, info.version, KIND)
        schema = compiled_type(f"io.k8s.api.{info.group}.{info.version}.{KIND}", kind.api_version, KIND)
        posted = await read_as(request, info, query, user, kind, schema)
        asked = posted.body
        check(asked, info)

        async def noted(old: Object) -> Object:
            return with_rollback(json_copy(old), asked)

        options = WriteOptions(user, posted.options.dry_run, manager=posted.options.manager)
        await self._deployments.change(info.namespace, info.name, noted, options, patching=True)
        text = f'rollback request for deployment "{info.name}" succeeded'
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "message": text,
            "code": 200,
        }
        return posted.created(status)


def check(asked: Object, info: RequestInfo) -> None:
    """StatusError 400 for another deployment's, 422 for what cannot be."""
    name, revision = asked.get("name") or "", (asked.get("rollbackTo") or {}).get("revision") or 0
    problems = [] if name else [field.required(Path("name"), "name is missing")]
    if revision < 0:
        at = Path("rollback") / "revision"
        problems.append(field.invalid(at, revision, "must be greater than or equal to 0"))
    if problems:
        raise errors.invalid("apps", KIND, name, problems)
    if name != info.name:
        raise errors.bad_request("name in URL does not match name in DeploymentRollback object")


def with_rollback(deployment: Object, asked: Object) -> Object:
    """The deployment with the revision that it is to go back to (0: the one before), and the annotations that come with it."""
    metadata = deployment["metadata"]
    annotations = {**(metadata.get("annotations") or {}), **(asked.get("updatedAnnotations") or {})}
    annotations[ROLLBACK] = str((asked.get("rollbackTo") or {}).get("revision") or 0)
    metadata["annotations"] = annotations
    return deployment
