"""One request as policies see it: in the version that they ask for, with its namespace and the authorizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pybernetes.aio import apart
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.cel.library import authorizer as authorizers

from ...cel import variables
from ...cel.authorizer import Answers, Unanswered, asking
from ...resource import Object, Resource
from ...types import Attributes, Authorizer, Reader
from ..webhook import review
from ..webhook import subject as shown
from .evaluation import Inputs, Loop
from .matching import Subject

T = TypeVar("T")


class Asked:
    """Of one request, for as long as it is asked about."""

    def __init__(self, attributes: Attributes, reader: Reader, authorizer: Authorizer) -> None:
        self.attributes, self._reader = attributes, reader
        self._answers = Answers(asking(authorizer, attributes.user))
        self._versions: dict[str, tuple[Object | None, Object | None]] = {}
        self._requests: dict[str, dict[str, Any]] = {}
        self._namespace: Object | None = None
        self._visible: Object | None = None
        self._loop = Loop()
        self.namespace_name = shown.namespace(attributes)
        self._about = authorizers.Attributes(
            group=attributes.resource.group,
            resource=attributes.resource.name,
            subresource=attributes.subresource,
            namespace=self.namespace_name,
            name=attributes.name,
        )

    async def subject(self, others: Sequence[Resource]) -> Subject:
        """What rules and selectors look at."""
        attributes = self.attributes
        namespace: dict[str, str] | None = None
        missing = ""
        if shown.is_namespace(attributes.resource) and not attributes.subresource and attributes.object is not None:
            namespace = _labels(attributes.object)
        elif self.namespace_name:
            try:
                namespace = _labels(await self._read_namespace())
            except StatusError as error:
                missing = str(error)
        objects = [
            _labels(obj) for obj in (attributes.object, attributes.old_object) if obj is not None and "metadata" in obj
        ]
        return Subject(
            attributes.resource,
            attributes.subresource,
            attributes.operation,
            attributes.name,
            others,
            namespace,
            objects,
            missing,
        )

    async def namespace(self) -> Object | None:
        """namespaceObject: None for what is in no namespace, and for namespaces. StatusError 404."""
        if not self.namespace_name or shown.is_namespace(self.attributes.resource):
            return None
        if self._visible is None:
            self._visible = _visible(await self._read_namespace())
        return self._visible

    async def _read_namespace(self) -> Object:
        if self._namespace is None:
            place = ("", "namespaces", "", self.namespace_name)
            self._namespace = self._reader.get(*place) or await self._reader.fresh(*place)
        if self._namespace is None:
            raise errors.not_found("", "namespaces", self.namespace_name)
        return self._namespace

    async def objects(self, resource: Resource) -> tuple[Object | None, Object | None]:
        """The object and the old one in a version. StatusError where a webhook that converts fails."""
        versions = self._versions.get(resource.api_version)
        if versions is None:
            attributes = self.attributes
            versions = (
                await shown.shown(attributes, attributes.object, resource),
                await shown.shown(attributes, attributes.old_object, resource),
            )
            self._versions[resource.api_version] = versions
        return versions

    def changed(self) -> None:
        """The object has changed: it is shown anew."""
        self._versions.clear()

    async def inputs(self, resource: Resource, params: Object | None, namespace: Object | None) -> Inputs:
        """For a policy that sees the request in this version. StatusError as `objects`."""
        obj, old = await self.objects(resource)
        request = self._requests.get(resource.api_version)
        if request is None:
            asked = review.request(self.attributes, resource, "", "v1", None, None)["request"]
            request = self._requests[resource.api_version] = variables.request(asked)
        return Inputs(obj, old, request, params, namespace, self._answers, self._about, self._loop)

    async def answered(self, size: int, evaluate: Callable[[], T]) -> T:
        """What an evaluation gives, begun again with each answer of the authorizer; `size` is that of its expressions."""
        while True:
            try:
                return await apart.run(size, evaluate)
            except Unanswered as question:
                await self._answers.learn(question)


def _labels(obj: Object) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


_SEEN = (
    "name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
    "deletionGracePeriodSeconds", "labels", "annotations", "finalizers",
)  # fmt: skip  # of metadata (upstream: CreateNamespaceObject)


def _visible(namespace: Object) -> Object:
    metadata = namespace["metadata"]
    seen: Object = {"metadata": {name: metadata[name] for name in _SEEN if name in metadata}}
    return seen | {name: namespace[name] for name in ("spec", "status") if name in namespace}
