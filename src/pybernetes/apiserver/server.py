"""The API server put together: store, watch cache, resources, and the chain that a request goes through.

`handle` shows the chain in its order: who asks, what is asked, may they, then the verb. Upstream: pkg/controlplane, apiserver/pkg/server.
"""

from __future__ import annotations

import logging
import ssl
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pybernetes
from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.store.types import Closed, Store
from pybernetes.wire.http import Request, Response, Server, StreamingResponse, serve

from . import impersonation, openapi
from .defaulttolerationseconds import DefaultTolerationSeconds
from .discovery import Discovery
from .endpoints import binding, negotiate, requestinfo
from .endpoints.handlers import ResourceHandler, answer
from .endpoints.negotiate import Accepted
from .generic.cache import WatchCache
from .generic.options import WriteOptions
from .generic.store import GenericStore
from .kinds import RESOURCES
from .namespacelifecycle import NamespaceLifecycle
from .priority import Priority
from .resource import Object, Resource
from .serviceaccount import ServiceAccount
from .storageobjectinuseprotection import StorageObjectInUseProtection
from .types import ANONYMOUS, AdmissionPlugin, Authenticator, Authorizer, Reader, RequestInfo, User

_log = logging.getLogger(__name__)

KUBERNETES_VERSION = "1.37.0"
SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
NOT_ALLOWED = "the server does not allow this method on the requested resource"
NOT_FOUND = "the server could not find the requested resource"
STATUS_VERBS = ("get", "update", "patch")


@dataclass(kw_only=True)
class Options:
    """What the command line decides. `authorizers` None: everyone who is authenticated may do everything (AlwaysAllow)."""

    host: str = "127.0.0.1"
    port: int = 0
    ssl_context: ssl.SSLContext | None = None
    authenticators: Sequence[Authenticator] = ()
    authorizers: Sequence[Authorizer] | None = None
    anonymous: bool = False
    enable_admission_plugins: Sequence[str] = ("NamespaceLifecycle", "Priority", "DefaultTolerationSeconds")
    resources: Sequence[Resource] = RESOURCES


class CacheReader:
    """See `types.Reader`."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache

    def get(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        stored = self._cache.resource(_prefix(group, resource)).items.get(_key(group, resource, namespace, name))
        return stored.obj if stored else None

    def list(self, group: str, resource: str, namespace: str = "") -> Iterable[Object]:
        prefix = _prefix(group, resource)
        found = self._cache.resource(prefix).range(f"{prefix}{namespace}/" if namespace else prefix)
        return [stored.obj for stored in found]

    async def fresh(self, group: str, resource: str, namespace: str, name: str) -> Object | None:
        await self._cache.wait(await self._cache.store.revision())
        return self.get(group, resource, namespace, name)


def _prefix(group: str, resource: str) -> str:
    return f"/registry/{group or 'core'}/{resource}/"


def _key(group: str, resource: str, namespace: str, name: str) -> str:
    return f"{_prefix(group, resource)}{namespace}/{name}" if namespace else _prefix(group, resource) + name


class APIServer:
    """A running API server between `start` and `stop`. The store is the caller's: it is not closed here."""

    def __init__(self, store: Store, options: Options) -> None:
        self.options = options
        self.cache = WatchCache(store)
        self.reader = CacheReader(self.cache)
        admission = admission_chain(self.reader, options.enable_admission_plugins)
        self._handlers = {
            (r.group, r.version, r.name): ResourceHandler(GenericStore(r, self.cache, admission), self._now)
            for r in options.resources
        }
        self._discovery = Discovery(options.resources)
        self._openapi = openapi.OpenAPI(options.resources)
        self._server: Server | None = None
        self._ready = False

    @staticmethod
    def _now() -> datetime:
        return datetime.now(UTC)

    def store(self, group: str, version: str, name: str) -> GenericStore:
        """The verbs of a resource, for use inside the server."""
        return self._handlers[group, version, name].store

    async def start(self) -> None:
        """Returns when requests are answered and /readyz says so."""
        await self.cache.start()
        await self._make_namespaces()
        options = self.options
        self._server = await serve(self.handle, options.host, options.port, options.ssl_context)
        self._ready = True

    async def stop(self, grace: float = 1.0) -> None:
        """Refuses new requests, ends watches, waits for the rest."""
        self._ready = False
        await self.cache.stop()
        if self._server is not None:
            await self._server.stop(grace)

    @property
    def port(self) -> int:
        """The bound port."""
        assert self._server is not None, "not started"
        return self._server.port

    async def _make_namespaces(self) -> None:
        store = self.store("", "v1", "namespaces")
        for name in SYSTEM_NAMESPACES:
            if self.reader.get("", "namespaces", "", name) is None:
                obj, _ = store.schema.normalize({"metadata": {"name": name}})
                await store.create(obj, "", WriteOptions(admission=False))

    # The way of a request.

    async def handle(self, request: Request) -> Response | StreamingResponse:
        """Every answer, also to what fails."""
        audit_id = request.header("audit-id") or str(uuid.uuid4())
        try:
            answered = await self._handle(request)
        except StatusError as error:
            answered = self._refusal(request, error)
        except Closed:
            answered = self._refusal(request, errors.service_unavailable("the server is shutting down"))
        except Exception as error:
            _log.exception("%s %r failed", request.method, request.raw_path)
            answered = self._refusal(request, errors.internal_error(str(error)))
        headers = (*answered.headers, ("Audit-Id", audit_id))
        if isinstance(answered, StreamingResponse):
            return StreamingResponse(answered.producer, answered.status, headers)
        return Response(answered.status, headers, answered.body)

    async def _handle(self, request: Request) -> Response | StreamingResponse:
        path = request.raw_path.decode("latin-1")
        query = dict(parse_qsl(request.query.decode("latin-1"), keep_blank_values=True))
        user = self._impersonated(self._authenticate(request), request)
        info = requestinfo.parse(request.method, path, query)
        self._authorize(user, info)
        if info.is_resource:
            return await self._resource(request, info, query, user)
        return self._other(request, info, query)

    def _refusal(self, request: Request, error: StatusError) -> Response:
        try:
            form = negotiate.accepted(request, {})
        except StatusError:
            form = Accepted()
        response = answer(error.code, error.status, Accepted(form.media, pretty=form.pretty))
        seconds = (error.status.get("details") or {}).get("retryAfterSeconds")
        if not seconds:
            return response
        return Response(response.status, (*response.headers, ("Retry-After", str(seconds))), response.body)

    def _authenticate(self, request: Request) -> User:
        for authenticator in self.options.authenticators:
            user = authenticator.authenticate(request)
            if user is not None:
                return user
        if not self.options.anonymous:
            raise errors.unauthorized()
        return ANONYMOUS

    def _impersonated(self, user: User, request: Request) -> User:
        """Whom the user wants to be, if the authorizers let them (upstream: endpoints/filters/impersonation.go)."""
        wanted = impersonation.asked(request)
        if wanted is None:
            return user
        for info in impersonation.questions(wanted):
            self._authorize(user, info)
        return impersonation.resolved(wanted)

    def _authorize(self, user: User, info: RequestInfo) -> None:
        if self.options.authorizers is None:
            return
        reasons = []
        for authorizer in self.options.authorizers:
            decision = authorizer.authorize(user, info)
            if decision.allowed:
                return
            reasons.append(decision.reason)
            if decision.denied:
                break
        raise errors.forbidden(info.group, info.resource, info.name, "; ".join(r for r in reasons if r))

    async def _resource(
        self, request: Request, info: RequestInfo, query: dict[str, str], user: User
    ) -> Response | StreamingResponse:
        handler = self._handlers.get((info.group, info.version, info.resource))
        if handler is None or (info.namespace and not handler.resource.namespaced and info.resource != "namespaces"):
            raise errors.generic(404, "", "", "", "", NOT_FOUND)
        if info.resource == "namespaces" and not handler.resource.namespaced:
            info = _of_namespace(info)
        self._check_verb(handler.resource, info, request.method)
        match info.verb:
            case "list" | "watch" if info.verb == "watch":
                return await handler.watch(request, info, query)
            case "list":
                return await handler.list(request, info, query)
            case "get":
                return await handler.get(request, info, query)
            case "create" if info.subresource == "binding" or info.resource == "bindings":
                return await binding.create(self.store("", "v1", "pods"), request, info, user)
            case "create":
                return await handler.create(request, info, query, user)
            case "update":
                return await handler.update(request, info, query, user)
            case "patch":
                return await handler.patch(request, info, query, user)
            case "delete":
                return await handler.delete(request, info, query, user)
            case "deletecollection":
                return await handler.delete_collection(request, info, query, user)
        raise errors.generic(405, "", "", "", "", NOT_ALLOWED)

    @staticmethod
    def _check_verb(resource: Resource, info: RequestInfo, method: str) -> None:
        refused = errors.generic(405, "", "", "", "", NOT_ALLOWED)
        if info.subresource == "binding" and "binding" in resource.subresources:
            if info.verb != "create" or not info.name:
                raise refused
            return
        if info.subresource:
            known = (info.subresource == "status" and resource.status) or (
                info.subresource == "scale" and resource.scale
            )
            if not known:
                if info.subresource in resource.subresources:
                    raise errors.generic(405, "", "", "", "", NOT_ALLOWED)
                raise errors.generic(404, "", "", "", "", NOT_FOUND)
            if info.verb not in STATUS_VERBS:
                raise refused
            return
        # A name is there for exactly the verbs that need one.
        named = info.verb in ("get", "update", "patch", "delete")
        if info.verb not in resource.verbs or (info.verb != "watch" and named != bool(info.name)):
            raise refused
        if info.verb == "create" and resource.namespaced and not info.namespace:
            raise refused

    def _other(self, request: Request, info: RequestInfo, query: dict[str, str]) -> Response:
        path = info.path.rstrip("/") or "/"
        parts = path.strip("/").split("/")
        if path in ("/healthz", "/livez", "/readyz") or (
            parts[0] in ("healthz", "livez", "readyz") and len(parts) == 2
        ):
            return self._health(parts, query)
        if request.method not in ("GET", "HEAD"):
            known = path == "/" or parts[0] in ("api", "apis", "version", "openapi")
            raise errors.generic(405 if known else 404, "", "", "", "", NOT_ALLOWED if known else NOT_FOUND)
        if path == "/version":
            return answer(200, version_info(), Accepted(pretty=True))
        if parts[0] == "openapi":
            found = self._openapi.answer(path, request)
            if found is not None:
                return found
        body = self._discover(request, parts)
        if isinstance(body, Response):
            return body
        if body is not None:
            return answer(200, body, negotiate.accepted(request, query))
        if parts[0] == "apis" and len(parts) == 2:
            return Response(404, [("Content-Type", "text/plain; charset=utf-8")], b"404 page not found\n")
        if path == "/" or parts[0] not in ("api", "apis"):
            listed = {"paths": self._paths()}
            return answer(200 if path == "/" else 404, listed, Accepted(pretty=True))
        raise errors.generic(404, "", "", "", "", NOT_FOUND)

    def _discover(self, request: Request, parts: list[str]) -> Any:
        accept = request.header("accept") or ""
        if parts in (["api"], ["apis"]) and "g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList" in accept.replace(
            " ", ""
        ):
            body, etag = self._discovery.aggregated(parts == ["api"])
            if etag in (request.header("if-none-match") or ""):
                return Response(304, [("ETag", f'"{etag}"')])
            media = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
            return Response(200, [("Content-Type", media), ("ETag", f'"{etag}"'), ("Vary", "Accept")], body)
        match parts:
            case ["api"]:
                return self._discovery.core_versions(request.header("host") or f"{self.options.host}:{self.port}")
            case ["apis"]:
                return self._discovery.group_list()
            case ["api", version]:
                return self._discovery.resource_list("", version)
            case ["apis", group]:
                return self._discovery.group(group)
            case ["apis", group, version]:
                return self._discovery.resource_list(group, version)
        return None

    def _paths(self) -> list[str]:
        paths = [
            "/api",
            "/api/v1",
            "/apis",
            "/apis/",
            "/healthz",
            "/livez",
            "/openapi/v2",
            "/openapi/v3",
            "/readyz",
            "/version",
        ]
        for group in self._discovery.groups:
            paths.append(f"/apis/{group}")
            paths.extend(f"/apis/{group}/{version}" for version in self._discovery.versions(group))
        return sorted(paths)

    def _health(self, parts: list[str], query: dict[str, str]) -> Response:
        checks = {"ping": True, "etcd": self.cache.revision > 0}
        if parts[0] == "readyz":
            checks["informer-sync"] = self._ready
        if len(parts) == 2:
            if parts[1] not in checks:
                return Response(404, [("Content-Type", "text/plain; charset=utf-8")], b"404 page not found\n")
            checks = {parts[1]: checks[parts[1]]}
        excluded = query.get("exclude", "")
        good = all(state for name, state in checks.items() if name != excluded)
        text = "ok"
        if "verbose" in query or not good:
            lines = [
                f"[{'+' if state else '-'}]{name} {'ok' if state else 'failed: reason withheld'}"
                for name, state in checks.items()
            ]
            text = "\n".join([*lines, f"{parts[0]} check {'passed' if good else 'failed'}\n"])
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")]
        return Response(200 if good else 500, headers, text.encode())


# The order in which plug-ins are asked (upstream: pkg/kubeapiserver/options/plugins.go).
ADMISSION: dict[str, Callable[[Reader], AdmissionPlugin]] = {
    "NamespaceLifecycle": NamespaceLifecycle,
    "ServiceAccount": ServiceAccount,
    "Priority": Priority,
    "DefaultTolerationSeconds": DefaultTolerationSeconds,
    "StorageObjectInUseProtection": StorageObjectInUseProtection,
}


def admission_chain(reader: Reader, enabled: Sequence[str]) -> list[AdmissionPlugin]:
    """The enabled plug-ins in their order; ValueError for a name that there is not."""
    unknown = [name for name in enabled if name not in ADMISSION]
    if unknown:
        raise ValueError(f"admission plug-in {unknown[0]!r} is not known; there are {', '.join(ADMISSION)}")
    return [make(reader) for name, make in ADMISSION.items() if name in enabled]


def _of_namespace(info: RequestInfo) -> RequestInfo:
    """/api/v1/namespaces/a: the object is cluster-scoped, though authorization sees it in its own namespace."""
    from dataclasses import replace

    return replace(info, namespace="")


def version_info() -> dict[str, Any]:
    """/version."""
    major, minor, _ = KUBERNETES_VERSION.split(".")
    import platform

    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": major,
        "minor": minor,
        "gitVersion": f"v{KUBERNETES_VERSION}+pybernetes.{pybernetes.__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{machine}",
    }
