"""Which requests a cluster was asked, for tests that look at what their code does, and for reports of failures."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from pybernetes.api.errors import StatusError
from pybernetes.api.times import format_micro_time
from pybernetes.apiserver.endpoints.routes import Answer
from pybernetes.apiserver.filters import failures
from pybernetes.apiserver.filters.exchange import Exchange, Handler
from pybernetes.apiserver.filters.faults import object_name
from pybernetes.wire.http import Dropped, Response

REQUESTS = 2000  # the last ones are kept
BODY_BYTES = 16 << 10  # longer bodies are not


@dataclass(frozen=True, slots=True)
class Request:
    """One request and its answer. `code` 0: the connection was cut. `seconds` on the cluster's clock; of watches until they began."""

    time: datetime
    user: str
    verb: str
    resource: str  # pods, deployments.apps; "" for other paths
    subresource: str
    namespace: str
    name: str
    path: str  # with its query
    code: int
    seconds: float
    user_agent: str
    body: bytes  # b"" also where it is longer than 16 KiB

    @property
    def obj(self) -> Any:
        """The body that was sent, decoded; ValueError where it is no JSON."""
        return json.loads(self.body)

    def __str__(self) -> str:
        place = "/".join(part for part in (self.namespace, self.name) if part)
        what = f"{self.resource}{'/' if self.subresource else ''}{self.subresource} {place}".rstrip()
        return f"{self.time:%H:%M:%S.%f} {self.user} {self.verb} {what or self.path} -> {self.code or 'cut'}"

    def line(self) -> str:
        """A line of JSON."""
        told = asdict(self)
        told["time"], told["body"] = format_micro_time(self.time), self.body.decode(errors="replace")
        return json.dumps(told)


class Requests(list[Request]):
    """Oldest first."""

    def where(self, **attributes: object) -> Requests:
        """Those with these values: `where(verb="update", resource="configmaps", code=409)`. A list or tuple: one of them. TypeError."""
        names = Request.__dataclass_fields__
        for name in attributes:
            if name not in names:
                raise TypeError(f"where({name}=...): there is {', '.join(names)}")
        return Requests(
            one
            for one in self
            if all(
                getattr(one, name) in value if isinstance(value, list | tuple | set) else getattr(one, name) == value
                for name, value in attributes.items()
            )
        )


class Recorder:
    """A link of the chain: keeps the last REQUESTS of everybody but `unseen` (User-Agents), and tells `listeners` of each."""

    def __init__(self, unseen: Container[str] = ()) -> None:
        self._kept: deque[Request] = deque(maxlen=REQUESTS)
        self._unseen = unseen
        self.listeners: list[Callable[[Request], None]] = []

    def requests(self, without: Container[str] = ()) -> Requests:
        """`without` those of some users. Any thread may ask."""
        return Requests(one for one in self._kept.copy() if one.user not in without)

    def clear(self) -> None:
        """Forgets them."""
        self._kept.clear()

    async def __call__(self, exchange: Exchange, next: Handler) -> Answer:
        if exchange.event.user_agent in self._unseen:
            return await next(exchange)
        try:
            answered = await next(exchange)
        except Dropped:
            self._keep(exchange, 0)
            raise
        except Exception as error:
            self._keep(exchange, error.code if isinstance(error, StatusError) else failures.status_error(error).code)
            raise
        self._keep(exchange, answered.status if isinstance(answered, Response) else 200)
        return answered

    def _keep(self, exchange: Exchange, code: int) -> None:
        info, event, body = exchange.info, exchange.event, exchange.request.body
        user, about = event.impersonated or event.user, event.object_ref
        name = about.name if about is not None else ""
        request = Request(
            event.received,
            user.name if user is not None else "",
            info.verb,
            f"{info.resource}.{info.group}" if info.group else info.resource,
            info.subresource,
            info.namespace,
            name or object_name(exchange),
            event.request_uri,
            code,
            event.elapsed,
            event.user_agent,
            body if len(body) <= BODY_BYTES else b"",
        )
        self._kept.append(request)
        for listener in self.listeners:
            listener(request)


def lines(requests: Iterable[Request], last: int) -> list[str]:
    """The last of them, a line each."""
    return [str(one) for one in list(requests)[-last:]]
