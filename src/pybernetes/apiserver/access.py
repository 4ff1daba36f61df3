"""Who may do what, put together from the server's options: authenticators, authorizers, the reviews that tell of them, and the
roles that a cluster begins with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pybernetes.api import errors
from pybernetes.api.errors import StatusError
from pybernetes.component.metrics import Registry
from pybernetes.wire.http import Request, Response

from .authentication import impersonation, openid
from .authentication.bearer import TokenAuthenticator
from .authentication.bootstraptoken import BootstrapToken
from .authentication.chain import Authenticators
from .authentication.serviceaccount import ServiceAccountTokens, TokenOptions
from .authentication.tokenfile import TokenFile
from .authentication.user import User
from .authorization import bootstrappolicy, reconcile
from .authorization.modes import AlwaysAllow, AlwaysDeny, Authorizers, refusal
from .authorization.node import NodeAuthorizer
from .authorization.rbac import RBAC
from .authorization.rules import GROUP
from .endpoints import tokenrequest
from .endpoints.reviews import Reviews
from .endpoints.routes import Special
from .generic.cache import WatchCache
from .generic.options import DeleteOptions, WriteOptions
from .generic.reader import CacheReader
from .generic.store import GenericStore
from .resource import Object, Resource
from .types import Authenticator, Authorizer, Decision, RequestInfo


class AccessMetrics:
    """Upstream's: endpoints/filters/metrics.go."""

    def __init__(self, registry: Registry) -> None:
        self._users = registry.counter(
            "authenticated_user_requests", "Counter of authenticated requests broken out by username.", ("username",)
        )
        self.attempts = registry.counter("authentication_attempts", "Counter of authenticated attempts.", ("result",))
        self._decisions = registry.counter(
            "authorization_attempts_total",
            "Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', "
            "'no-opinion' or 'error'.",
            ("result",),
        )

    def authenticated(self, user: User) -> None:
        """Names are few, lest made-up ones make samples."""
        name = user.name
        self._users.inc(name if name in COUNTED_USERS else "email_id" if "@" in name else "other")
        self.attempts.inc("success")

    def decided(self, decision: Decision) -> None:
        """One request."""
        self._decisions.inc("allowed" if decision.allowed else "denied" if decision.denied else "no-opinion")


STREAMS = ("exec", "attach", "portforward")
COUNTED_USERS = ("admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default")
PUBLISHED_NAMESPACE, PUBLISHED = "kube-system", "extension-apiserver-authentication"


@dataclass(frozen=True, kw_only=True)
class AccessOptions:
    """Of the flags; `authenticators` look at whole requests (front proxy, certificates), in their order."""

    authenticators: Sequence[Authenticator] = ()
    authorization_modes: Sequence[str] = ("AlwaysAllow",)
    anonymous: bool = False
    service_accounts: TokenOptions | None = None
    bootstrap_tokens: bool = False
    # What extension API servers must know to authenticate as this one does, by keys of their ConfigMap.
    published: Mapping[str, str] = field(default_factory=dict)


class Access:
    """See the module."""

    def __init__(
        self,
        options: AccessOptions,
        cache: WatchCache,
        reader: CacheReader,
        now: Callable[[], datetime],
        registry: Registry,
    ) -> None:
        self._options = options
        self.tokens = ServiceAccountTokens(options.service_accounts, reader, now) if options.service_accounts else None
        known: list[TokenAuthenticator] = [a for a in options.authenticators if isinstance(a, TokenFile)]
        if self.tokens is not None:
            known.append(self.tokens)
        if options.bootstrap_tokens:
            known.append(BootstrapToken(reader, now))
        self.authenticators = Authenticators(options.authenticators, known, options.anonymous)
        self.authorizers = authorizers(options.authorization_modes, cache, reader)
        self._pages = openid.pages(options.service_accounts) if options.service_accounts else {}
        self._metrics = AccessMetrics(registry)

    def user(self, request: Request) -> User:
        """Who asks, or whom the one who asks may act as (upstream: endpoints/filters/impersonation.go); StatusError."""
        try:
            user = self.authenticators.authenticate(request)
        except StatusError:
            self._metrics.attempts.inc("failure")
            raise
        self._metrics.authenticated(user)
        wanted = impersonation.asked(request)
        if wanted is None:
            return user
        for info in impersonation.questions(wanted):
            self.authorizers.require(user, info)
        return impersonation.resolved(wanted)

    def require(self, user: User, info: RequestInfo, request: Request) -> None:
        """StatusError 403 unless the user may. A WebSocket begins with a GET: it needs what a POST would, too."""
        decision = self.authorizers.authorize(user, info)
        self._metrics.decided(decision)
        if not decision.allowed:
            raise refusal(user, info, decision.reason)
        if info.subresource in STREAMS and info.verb == "get" and info.resource == "pods" and _upgrades(request):
            self.authorizers.require(user, replace(info, verb="create"))

    def may_create(self, user: User, resource: Resource, namespace: str, name: str) -> None:
        """StatusError 403 for a PUT or apply that would make what the user may not create."""
        info = RequestInfo(
            "create",
            "",
            is_resource=True,
            group=resource.group,
            version=resource.version,
            resource=resource.name,
            namespace=namespace,
            name=name,
        )
        decision = self.authorizers.authorize(user, info)
        if not decision.allowed:
            raise errors.forbidden(resource.group, resource.name, name, decision.reason)

    def routes(self, admit: tokenrequest.Admit) -> dict[tuple[str, str, str], dict[str, Special]]:
        """Reviews, and tokens where there is a key to sign them."""
        found = Reviews(self.authenticators, self.authorizers, self.tokens).routes()
        if self.tokens is not None and self.tokens.options.signer is not None:
            found["", "serviceaccounts", "token"] = {
                "create": functools.partial(tokenrequest.create, self.tokens, admit)
            }
        return found

    def page(self, request: Request, info: RequestInfo) -> Response | None:
        """Of paths that belong here, None for others."""
        return self._pages.get(info.path) if request.method in ("GET", "HEAD") else None

    async def bootstrap(self, store: Callable[[str, str, str], GenericStore]) -> None:
        """What a cluster begins with: the ConfigMap of `published`, with RBAC the roles and bindings."""
        if self._options.published:
            await _publish(_Verbs(store("", "v1", "configmaps")), self._options.published)
        if self.authorizers.rbac is not None:
            await reconcile.reconcile(lambda resource: _Verbs(store(GROUP, "v1", resource)))


def _upgrades(request: Request) -> bool:
    return (request.header("upgrade") or "").lower() == "websocket"


def authorizers(modes: Sequence[str], cache: WatchCache, reader: CacheReader) -> Authorizers:
    """ValueError for a mode that there is not."""
    chain: list[Authorizer] = []
    rbac: RBAC | None = None
    for mode in modes:
        match mode:
            case "AlwaysAllow":
                chain.append(AlwaysAllow())
            case "AlwaysDeny":
                chain.append(AlwaysDeny())
            case "Node":
                chain.append(NodeAuthorizer(reader, cache.of("", "pods"), bootstrappolicy.node_rules()))
            case "RBAC":
                rbac = RBAC(reader)
                chain.append(rbac)
            case _:
                raise ValueError(f'"{mode}" is not a valid mode')
    return Authorizers(chain, rbac, "Node" in modes)


async def _publish(maps: _Verbs, data: Mapping[str, str]) -> None:
    """kube-system/extension-apiserver-authentication (upstream: controller/clusterauthenticationtrust)."""
    have = maps.get(PUBLISHED_NAMESPACE, PUBLISHED)
    if have is None:
        made = {"metadata": {"name": PUBLISHED, "namespace": PUBLISHED_NAMESPACE}, "data": dict(data)}
        await maps.create(PUBLISHED_NAMESPACE, made)
    elif any((have.get("data") or {}).get(key) != value for key, value in data.items()):
        await maps.update(PUBLISHED_NAMESPACE, {**have, "data": {**(have.get("data") or {}), **data}})


class _Verbs:
    """See `reconcile.Objects`: on the registry, beside admission."""

    def __init__(self, store: GenericStore) -> None:
        self._store = store

    def get(self, namespace: str, name: str) -> Object | None:
        found = self._store.cache.resource(self._store.prefix).items.get(self._store.key(namespace, name))
        return found.copy() if found else None

    async def create(self, namespace: str, obj: Object) -> None:
        await self._store.create(obj, namespace, WriteOptions(admission=False))

    async def update(self, namespace: str, obj: Object) -> None:
        await self._store.update(namespace, obj["metadata"]["name"], obj, WriteOptions(admission=False))

    async def replace(self, namespace: str, obj: Object) -> None:
        await self._store.delete(namespace, obj["metadata"]["name"], DeleteOptions(admission=False))
        await self.create(namespace, obj)
