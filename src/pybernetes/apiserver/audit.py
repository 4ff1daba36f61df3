"""What is to be remembered of a request: audit.k8s.io's Event, and who adds to it (upstream: apiserver/pkg/audit,
endpoints/filters/audit.go).

Links of the chain have the event in their exchange. Verbs and admission plug-ins, which know no exchange, add to that of the request
that they work for: it goes with the task, as upstream's goes with the context.
"""

from __future__ import annotations

import functools
import ipaddress
import logging
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any

from pybernetes.wire.http import Request

from .authentication.user import User
from .types import RequestInfo

_log = logging.getLogger(__name__)

MAX_USER_AGENT, TRUNCATED = 1024, "...TRUNCATED"  # characters of User-Agent
LONGEST_ADDRESS = 45  # characters: IPv6 with IPv4 at its end
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
DEPRECATED = "k8s.io/deprecated"
TRUNCATED_OBJECT = "audit.k8s.io/truncated"  # an object that is wanted is left out
STATUS_FIELDS = (
    "status",
    "message",
    "reason",
    "details",
    "code",
)  # of a Status that an event keeps: those that are bounded


class Stage(StrEnum):
    """How far a request has come."""

    REQUEST_RECEIVED = "RequestReceived"
    RESPONSE_STARTED = "ResponseStarted"  # of long-running requests alone: the headers are sent
    RESPONSE_COMPLETE = "ResponseComplete"
    PANIC = "Panic"  # nobody has foreseen what happened


class Level(IntEnum):
    """How much of a request is written down. Each has what those before it have."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    REQUEST_RESPONSE = 3

    @property
    def word(self) -> str:
        """As policies and events have it."""
        return LEVELS[self]


LEVELS = ("None", "Metadata", "Request", "RequestResponse")


@dataclass(frozen=True, slots=True)
class Decision:
    """What of one request is written down (upstream: audit.RequestAuditConfig)."""

    level: Level
    omitted: frozenset[str] = frozenset()  # stages
    omit_managed_fields: bool = False


NOTHING = Decision(Level.NONE)


@dataclass(slots=True)
class ObjectReference:
    """What a request is about, as far as its path, or the object in its body, says."""

    resource: str
    namespace: str
    name: str
    api_group: str
    api_version: str
    subresource: str
    uid: str = ""
    resource_version: str = ""


@dataclass(slots=True, eq=False)
class AuditEvent:
    """Of one request, at its present stage. What never changes of it is read from the request when it is wanted."""

    id: str  # also the answer's header Audit-Id
    request: Request
    info: RequestInfo
    received: datetime
    stage: Stage = Stage.REQUEST_RECEIVED
    elapsed: float = 0.0  # seconds from `received` to the stage
    user: User | None = None  # who asks; None until authentication knows
    impersonated: User | None = None  # as whom
    response: dict[str, Any] | None = None  # of metav1.Status: the code alone for what went well
    annotations: dict[str, str] = field(default_factory=dict)
    detailed: dict[str, str] = field(default_factory=dict)  # annotations that are for level Request and above
    decision: Decision = NOTHING
    posted: Request | None = None  # whose body is an object, where the decision asks for it
    request_object: bytes | None = None  # JSON in one line, as the two that follow are where the decision asks for them
    response_object: bytes | None = None
    _object: dict[str, Any] | None = None  # metadata of the object in the body

    @property
    def verb(self) -> str:
        """`create`; of other paths the method in lower case."""
        return self.info.verb

    @property
    def request_uri(self) -> str:
        """As the client has sent it."""
        path, query = (part.decode("latin-1") for part in (self.request.raw_path, self.request.query))
        return f"{path}?{query}" if query else path

    @property
    def user_agent(self) -> str:
        """As the client has sent it, as far as it is not too long."""
        agent = self.request.header("user-agent") or ""
        return agent if len(agent) <= MAX_USER_AGENT else agent[:MAX_USER_AGENT] + TRUNCATED

    @property
    def source_ips(self) -> list[str]:
        """Through whom it came; all but the last are the client's word (upstream: apimachinery/pkg/util/net SourceIPs)."""
        request = self.request
        forwarded = [part.strip() for part in (request.header("x-forwarded-for") or "").split(",")]
        ips = [ip for ip in map(_ip, forwarded) if ip]
        real = _ip(request.header("x-real-ip") or "")
        if real and real not in ips:
            ips.append(real)
        peer = _ip(request.peer)
        return [*ips, peer] if peer and ips[-1:] != [peer] else ips

    @property
    def object_ref(self) -> ObjectReference | None:
        """None for a path that is no resource's."""
        info, body = self.info, self._object or {}
        if not info.is_resource:
            return None
        return ObjectReference(
            info.resource,
            info.namespace or body.get("namespace") or "",
            info.name or body.get("name") or "",
            info.group,
            info.version,
            info.subresource,
            body.get("uid") or "",
            body.get("resourceVersion") or "",
        )

    def of_object(self, obj: dict[str, Any]) -> None:
        """The object of the body says what the path does not: name, uid, resource version."""
        metadata = obj.get("metadata")
        fields = ("namespace", "name", "uid", "resourceVersion")
        self._object = (
            {name: metadata[name] for name in fields if name in metadata} if isinstance(metadata, dict) else {}
        )

    @property
    def stage_time(self) -> datetime:
        """When the stage was reached."""
        return self.received + timedelta(seconds=self.elapsed)

    def reach(self, stage: Stage, elapsed: float) -> None:
        """The request has come so far, in so many seconds."""
        self.stage, self.elapsed = stage, elapsed

    def respond(self, code: int, status: dict[str, Any] | None = None) -> None:
        """What the client is told: a code, and of a failure its Status."""
        told = status or {}
        self.response = {**{name: told[name] for name in STATUS_FIELDS if name in told}, "code": code}

    def annotate(self, key: str, value: str, detailed: bool = False) -> None:
        """The first value of a key stays."""
        annotations = self.detailed if detailed else self.annotations
        first = annotations.setdefault(key, value)
        if first != value:
            _log.warning("audit %s: annotation %s is %r already, and will not be %r", self.id, key, first, value)


current: ContextVar[AuditEvent | None] = ContextVar("audit", default=None)


def annotate(key: str, value: str, detailed: bool = False) -> None:
    """Of the request that this task works for; what the server does of itself has none."""
    event = current.get()
    if event is not None:
        event.annotate(key, value, detailed)


def of_object(obj: dict[str, Any]) -> None:
    """See `AuditEvent.of_object`, of the request that this task works for."""
    event = current.get()
    if event is not None:
        event.of_object(obj)


def takes_body(request: Request) -> None:
    """The body of the request is an object, or a patch of one, of a resource that is served."""
    event = current.get()
    if event is not None and event.decision.level >= Level.REQUEST:
        event.posted = request


def _ip(text: str) -> str:
    address = text.partition("%")[0]
    return _address(address) if len(address) <= LONGEST_ADDRESS else ""


@functools.lru_cache(1024)  # clients come again and again, and each of their events tells where from
def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""
