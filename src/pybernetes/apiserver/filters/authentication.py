"""Finds out who asks (upstream: apiserver/pkg/endpoints/filters/authentication.go)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybernetes.aio.clock import Clock
from pybernetes.api.errors import StatusError
from pybernetes.component.metrics import Registry

from .. import audit
from ..audit import Stage
from ..authentication.chain import Authenticators
from ..authentication.serviceaccount import GENERATED
from ..authentication.user import User
from ..endpoints import warningheader
from ..endpoints.metrics import DECISION_SECONDS
from ..endpoints.routes import Answer
from .exchange import Exchange, Handler

if TYPE_CHECKING:
    from ..auditing.auditor import Auditor

# Upstream counts these by name (authenticated_user_requests); others together, lest made-up names make samples.
COUNTED_USERS = frozenset({"admin", "client", "kube_proxy", "kubelet", "system:serviceaccount:kube-system:default"})


REPLACE = (
    "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated "
    "secret-based tokens."
)


class Authentication:
    """StatusError 401 where nobody is known. Credentials go no further."""

    def __init__(
        self, authenticators: Authenticators, registry: Registry, clock: Clock, auditor: Auditor | None = None
    ) -> None:
        self._authenticate, self._credentials = authenticators.authenticate, authenticators.credentials
        self._monotonic, self._auditor = clock.monotonic, auditor
        self._users = registry.counter(
            "authenticated_user_requests", "Counter of authenticated requests broken out by username.", ("username",)
        )
        self._attempts = registry.counter("authentication_attempts", "Counter of authenticated attempts.", ("result",))
        self._seconds = registry.histogram(
            "authentication_duration_seconds",
            "Authentication duration in seconds broken out by result.",
            ("result",),
            DECISION_SECONDS,
        )

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        begun = self._monotonic()
        token = audit.current.set(exchange.event)  # what is to be remembered of the credentials
        try:
            user = await self._authenticate(exchange.request)
        except StatusError as error:
            self._attempts.inc("failure")
            self._seconds.observe(self._monotonic() - begun, "failure")
            event, elapsed = exchange.event, self._monotonic() - exchange.started
            event.respond(error.code, {"message": _attempted(exchange)})
            event.reach(Stage.RESPONSE_STARTED, elapsed)  # upstream's only one of who is not let in
            if self._auditor is not None and self._auditor.decide(event):
                await self._auditor.emit(event)
            raise
        finally:
            audit.current.reset(token)
        self._users.inc(_counted(user))
        self._attempts.inc("success")
        self._seconds.observe(self._monotonic() - begun, "success")
        if GENERATED in exchange.event.annotations:
            exchange.headers += tuple(warningheader.headers([REPLACE]))
        exchange.user = exchange.event.user = user
        exchange.request = self._credentials.without(exchange.request)
        return await next(exchange)


def _attempted(exchange: Exchange) -> str:
    """What an audit event says of who is not let in (upstream: filters/authn_audit.go)."""
    request = exchange.request
    header = (request.header("authorization") or "").strip().split(" ")
    scheme = header[0].lower()
    methods = [scheme] if scheme in ("basic", "bearer") and len(header) > 1 else []
    methods += ["access_token"] if exchange.query.get("access_token", "").strip() else []
    methods += ["x509"] if request.peer_certificate else []
    if not methods:
        return "Authentication failed, no credentials provided"
    return f"Authentication failed, attempted: {', '.join(methods)}"


def _counted(user: User) -> str:
    name = user.name
    return name if name in COUNTED_USERS else "email_id" if "@" in name else "other"
