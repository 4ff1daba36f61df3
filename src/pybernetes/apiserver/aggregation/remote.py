"""What an APIService says of the server behind it (upstream: kube-aggregator pkg/apis/apiregistration, pkg/apiserver/handler_proxy.go). Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..admission.webhook.hooks import ServiceReference
from ..authentication.user import User
from ..kinds.apiregistration.apiservice import PORT
from ..resource import Object

AVAILABLE = "Available"
# What RFC 7230 takes in the name of a header, but "%", which escapes the rest (upstream: client-go/transport, headerKeyEscape).
TOKEN = "!#$&'*+-.^_`|~"


@dataclass(frozen=True, slots=True)
class Remote:
    """An APIService that names a Service. Equal ones are reached alike."""

    name: str
    group: str
    version: str
    service: ServiceReference
    ca: bytes  # PEM, empty: the system's authorities
    insecure: bool  # the certificate is not looked at
    group_priority: int
    version_priority: int

    @property
    def server_name(self) -> str:
        """What its certificate must be for."""
        return f"{self.service.name}.{self.service.namespace}.svc"

    @property
    def path(self) -> str:
        """Of the group-version, where its server has to tell what there is."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


def remote(service: Object) -> Remote | None:
    """None for one that this server answers itself."""
    spec = service["spec"]
    reference = spec.get("service")
    if reference is None:
        return None
    place = ServiceReference(
        reference.get("namespace", ""), reference.get("name", ""), reference.get("port") or PORT, ""
    )
    return Remote(
        name=service["metadata"]["name"],
        group=spec.get("group") or "",
        version=spec.get("version") or "",
        service=place,
        ca=base64.b64decode(spec.get("caBundle") or "", validate=False),
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        group_priority=spec.get("groupPriorityMinimum") or 0,
        version_priority=spec.get("versionPriority") or 0,
    )


def available(service: Object) -> bool:
    """Whether its condition says that it answers."""
    condition = available_condition(service)
    return condition is not None and condition.get("status") == "True"


def available_condition(service: Object) -> Mapping[str, Any] | None:
    """None where nobody has looked yet."""
    conditions: Iterable[Mapping[str, Any]] = (service.get("status") or {}).get("conditions") or ()
    return next((condition for condition in conditions if condition.get("type") == AVAILABLE), None)


def user_headers(user: User) -> list[tuple[str, str]]:
    """Who asks, for a server that trusts this one's certificate (upstream: client-go/transport, SetAuthProxyHeaders)."""
    told = [("X-Remote-User", user.name)]
    if user.uid:
        told.append(("X-Remote-Uid", user.uid))
    told += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra.items():
        name = f"X-Remote-Extra-{quote(key, safe=TOKEN)}"
        told += [(name, value) for value in values]
    return [(name, _as_written(value)) for name, value in told]


def _as_written(value: str) -> str:
    """As Go's client writes it: in UTF-8, line breaks as spaces."""
    return value.replace("\r", " ").replace("\n", " ").encode().decode("latin-1")
