"""`Kube` to await: on asyncio (plain, pytest-asyncio, anyio) and, where anyio is installed, on trio.

The cluster runs on a thread of its own either way, so that a test that waits never keeps it from answering.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from .arguments import duration
from .kube import MAX_POLL_SECONDS, POLL_SECONDS, WAIT_SECONDS, Kube, NotReached
from .parts import Clock, FaultRules, Nodes, Pods
from .requests import Requests
from .reviews import Convert, Object, Review
from .webhook import Webhook

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

WAITERS = 64  # calls that wait at a time; others wait for their turn
_waiters: ThreadPoolExecutor | None = None


async def apart(call: Callable[[], R]) -> R:
    """Runs it on another thread. RuntimeError where no known event loop runs."""
    global _waiters
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        import anyio.to_thread  # trio, then

        return await anyio.to_thread.run_sync(call)
    if _waiters is None:
        _waiters = ThreadPoolExecutor(WAITERS, "pybernetes-akube")
    # Not the loop's own way, which keeps a clock that it follows from going on.
    return await asyncio.wrap_future(_waiters.submit(call))


class _Around(Generic[T]):
    """What waits, and is to be awaited instead."""

    def __init__(self, inner: T) -> None:
        self._inner = inner


def _awaited(method: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[_Around[T], P], Awaitable[R]]:
    @functools.wraps(method)
    async def call(self: _Around[T], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await apart(functools.partial(method, self._inner, *args, **kwargs))

    return call


class AsyncClock(_Around[Clock]):
    """See `Clock`."""

    advance = _awaited(Clock.advance)

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self._inner.now()

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """See `Clock.new_event_loop`."""
        return self._inner.new_event_loop()


class AsyncPods(_Around[Pods]):
    """See `Pods`. Scripts are only noted: nothing is to be awaited."""

    def __init__(self, inner: Pods) -> None:
        super().__init__(inner)
        self.script, self.clear = inner.script, inner.clear

    end = _awaited(Pods.end)
    evict = _awaited(Pods.evict)


class AsyncFaultRules(_Around[FaultRules]):
    """See `FaultRules`. Rules are only noted: nothing is to be awaited."""

    def __init__(self, inner: FaultRules) -> None:
        super().__init__(inner)
        self.add, self.storm, self.clear = inner.add, inner.storm, inner.clear

    end_watches = _awaited(FaultRules.end_watches)


class AsyncNodes(_Around[Nodes]):
    """See `Nodes`."""

    kill = _awaited(Nodes.kill)

    @property
    def names(self) -> list[str]:
        """hollow-0, hollow-1, ..."""
        return self._inner.names


class AsyncWebhook(_Around[Webhook]):
    """See `Webhook`; `async with`, or until the test ends."""

    def __init__(self, inner: Webhook) -> None:
        super().__init__(inner)
        self.url, self.ca_bundle, self.port = inner.url, inner.ca_bundle, inner.port
        self.certificate_file, self.key_file = inner.certificate_file, inner.key_file
        self.client_config = inner.client_config

    validate = _awaited(Webhook.validate)
    mutate = _awaited(Webhook.mutate)
    install = _awaited(Webhook.install)
    close = _awaited(Webhook.close)

    @property
    def requests(self) -> Sequence[Object]:
        """See `Webhook.requests`."""
        return self._inner.requests

    async def __aenter__(self) -> AsyncWebhook:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class AsyncKube(_Around[Kube]):
    """See `Kube`, whose methods these are; `kube` is that itself."""

    def __init__(self, kube: Kube) -> None:
        super().__init__(kube)
        self.kube, self.url, self.kubeconfig, self.namespace = kube, kube.url, kube.kubeconfig, kube.namespace
        self.token, self.ca_file, self.username, self.environment = (
            kube.token,
            kube.ca_file,
            kube.username,
            kube.environment,
        )
        self.clock, self.faults = AsyncClock(kube.clock), AsyncFaultRules(kube.faults)
        self.pods, self.nodes = AsyncPods(kube.pods), AsyncNodes(kube.nodes)

    get = _awaited(Kube.get)
    get_or_none = _awaited(Kube.get_or_none)
    list = _awaited(Kube.list)
    apply = _awaited(Kube.apply)
    crds = _awaited(Kube.crds)
    patch = _awaited(Kube.patch)
    delete = _awaited(Kube.delete)
    wait_for = _awaited(Kube.wait_for)
    user = _awaited(Kube.user)
    kubectl = _awaited(Kube.kubectl)
    snapshot = _awaited(Kube.snapshot)
    restore = _awaited(Kube.restore)
    restart = _awaited(Kube.restart)
    events = _awaited(Kube.list_events)
    report = _awaited(Kube.report)

    async def in_namespace(self, name: str) -> AsyncKube:
        """See `Kube.in_namespace`."""
        return AsyncKube(await apart(functools.partial(self.kube.in_namespace, name)))

    async def webhook(
        self, review: Review | None = None, *, convert: Convert | None = None, port: int = 0
    ) -> AsyncWebhook:
        """See `Kube.webhook`. A `review` may be a coroutine function; it runs on the cluster's loop."""
        return AsyncWebhook(await apart(functools.partial(self.kube.webhook, review, convert=convert, port=port)))

    async def wait_until(self, holds: Callable[[], Awaitable[T]], timeout: float | str = WAIT_SECONDS) -> T:
        """See `Kube.wait_until`; the function is awaited, on the caller's loop."""
        end, seconds = time.monotonic() + (length := duration("timeout", timeout)), POLL_SECONDS
        while not (given := await holds()):
            if time.monotonic() >= end:
                raise NotReached(f"{getattr(holds, '__name__', holds)} gives {given!r} after {length:g} s")
            await apart(functools.partial(time.sleep, seconds))
            seconds = min(seconds * 1.5, MAX_POLL_SECONDS)
        return given

    def client(self, library: str = "") -> Any:
        """An asynchronous client: see `Access.async_client`."""
        return self.kube.async_client(library)

    @property
    def requests(self) -> Requests:
        """See `Kube.requests`."""
        return self.kube.requests

    @property
    def all_requests(self) -> Requests:
        """See `Kube.all_requests`."""
        return self.kube.all_requests
