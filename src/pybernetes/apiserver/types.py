"""The interfaces at which the parts of the API server meet: what is asked, who may, what may be looked up."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from pybernetes.wire.http import Request

from .authentication.user import User
from .resource import Object, Resource


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a path asks for (apiserver/pkg/endpoints/request). `verb` is get, list, watch, create, update, patch, delete,
    deletecollection or, for other paths, the HTTP method in lower case."""

    verb: str
    path: str
    is_resource: bool = False
    prefix: str = ""  # "api" or "apis"
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: str = ""  # what follows the subresource: path of a proxy request
    field_selector: str = ""
    label_selector: str = ""


class Reader(Protocol):
    """The newest known objects, from the watch caches, in their stored version. They are shared: never change them."""

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        """One object, None if there is none. `namespace` is "" for cluster-scoped ones."""
        ...

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[Object]:
        """All objects, of one namespace or ("") of all."""
        ...

    def changed(self, group: str, resource: str) -> int:
        """The revision of the last change of a resource: what was worked out from older ones may be wrong."""
        ...

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        """As get, but read from the store: for decisions that must not be taken on old news."""
        ...


class Authenticator(Protocol):
    """Says who asks, by a whole request (upstream: authenticator.Request). Asynchronous, for some ask another server; the
    others answer without giving way to other tasks."""

    async def authenticate(self, request: Request) -> User | None:
        """None: nothing presented that this one knows. Raises StatusError unauthorized for a credential that is wrong."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Of an authorizer; `reason` goes into the message of a denial and into SubjectAccessReview.

    `error`: it could not be found out, as far as it was; who is not allowed by anybody else gets 500 with it.
    """

    allowed: bool = False
    denied: bool = False  # neither: no opinion, the next authorizer is asked
    reason: str = ""
    error: str = ""


class Authorizer(Protocol):
    """Says whether one may (upstream: authorizer.Authorizer). Asynchronous as `Authenticator` is."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        """Never raises: who cannot tell has no opinion, and says in the reason (or as the error) why."""
        ...


@dataclass(slots=True)
class Attributes:
    """What admission is asked about. Mutating plug-ins change `object` in place (after defaults, before validation)."""

    user: User
    operation: Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
    resource: Resource
    subresource: str
    namespace: str
    name: str
    object: Object | None  # None for DELETE
    old_object: Object | None  # None for CREATE
    dry_run: bool = False
    options: Object = field(default_factory=dict)  # as given in the request, without their type
    warnings: list[str] = field(default_factory=list)  # plug-ins add what the client is to be told
    mutated: bool = False  # a webhook has changed the object: all that may change it are asked a second time
    again: bool = False  # this is that time
    kept: dict[str, Any] = field(default_factory=dict)  # what a plug-in keeps until then, by its name

    @property
    def told_name(self) -> str:
        """The name in a refusal: before a name is generated what it is generated from, "Unknown" without that (extractResourceName)."""
        metadata = (self.object or {}).get("metadata") or {}
        return self.name or str(metadata.get("name") or metadata.get("generateName") or "Unknown")


GroupResources = frozenset[tuple[str, str]]  # (group, resource)
EVERYTHING: GroupResources | None = None
PODS: GroupResources = frozenset({("", "pods")})


class AdmissionPlugin(Protocol):
    """One step of the chain. Refuses by raising a StatusError (usually `errors.forbidden`)."""

    name: str

    @property
    def resources(self) -> GroupResources | None:
        """Those that it has something to say of, their subresources included; of all others it is not asked."""
        ...

    def admit(self, attributes: Attributes) -> Awaitable[None] | None:
        """May change the object."""
        ...

    def validate(self, attributes: Attributes) -> Awaitable[None] | None:
        """After validation of the kind; may only refuse (or, as quota does, count)."""
        ...


class Admission(Protocol):
    """All plug-ins in their order, asked as one."""

    async def mutate(self, attributes: Attributes) -> None:
        """Lets all change the object; a second time where a webhook has. StatusError where one objects."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """StatusError where one objects."""
        ...
