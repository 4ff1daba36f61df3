"""The running server: reads the Corefile, starts the plugins and the listeners, reloads (upstream: coremain, core/dnsserver)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from pybernetes.aio.clock import RealClock
from pybernetes.aio.ending import end
from pybernetes.client.kubeconfig import ConfigError
from pybernetes.component.workers import Launch, Program, Workers

from .chain import Instance, serve
from .corefile import CorefileError, parse, read
from .metrics import Metrics
from .plugins.health import Health
from .server import Listener

_log = logging.getLogger(__name__)

RELOAD = "reload"  # has a worker look at the Corefile


class StartError(Exception):
    """One line for the user."""


class App:
    """`path` is the Corefile; `port` stands for blocks that name none; `banner` gets a line for each zone when it serves.

    `worker`: another process has the ports for people, and this one shares those for queries with it.
    """

    def __init__(self, path: Path, port: int, banner: Callable[[str], None] = _log.debug, worker: bool = False) -> None:
        self._path, self._port, self._banner, self._worker = path, port, banner, worker
        self.metrics = Metrics()
        self._workers = None if worker else Workers(_launch(path, port), self.metrics.text, RealClock())
        self._instance: Instance | None = None
        self.listeners: dict[tuple[str, int], Listener] = {}
        self._digest = ""
        self._failed: asyncio.Future[None] | None = None
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serves until cancelled; with a lame-duck time it ends that much later. StartError."""
        self._failed = asyncio.get_running_loop().create_future()
        try:
            await self.start()
            await self._failed
        except asyncio.CancelledError:
            for plugin in self._instance.plugins if self._instance is not None else ():
                if isinstance(plugin, Health):
                    await plugin.linger()
            raise
        finally:
            await self.stop()

    async def start(self) -> None:
        """Returns when queries are answered. StartError."""
        try:
            text = read(self._path)
            self._instance = await self._made(text)
            await self._begin(self._instance)
        except OSError as error:
            raise StartError(f"{error.filename or self._path}: {error.strerror or error}") from error
        except (CorefileError, ConfigError) as error:
            raise StartError(str(error)) from error
        self._digest = _digest(text)
        for server in self._instance.servers:
            for zone in server.context.zones:
                self._banner(f"{zone}:{server.context.port}")

    async def stop(self) -> None:
        """Ends everything."""
        await end(*self._reloads)
        if self._workers is not None:
            await self._workers.resize(0)
        for listener in self.listeners.values():
            await listener.stop()
        if self._instance is not None:
            for plugin in self._instance.plugins:
                await plugin.stop()

    @property
    def ready(self) -> bool:
        """Whether every plugin is."""
        return self._instance is not None and all(plugin.ready() for plugin in self._instance.plugins)

    async def _made(self, text: str) -> Instance:
        """Read, built and filled with data, but without ports."""
        instance = Instance(
            parse(text, str(self._path), self._port), self.metrics, self.request_reload, self.fail, self._workers
        )
        try:
            for plugin in instance.plugins:
                await plugin.prepare()
        except BaseException:
            for plugin in instance.plugins:
                await plugin.stop()
            raise
        return instance

    async def _begin(self, instance: Instance) -> None:
        """Listeners that stay are handed over without losing a query."""
        limits = {
            place: server.context.limits for server in reversed(instance.servers) for place in server.context.places
        }
        sockets = max(server.context.sockets for server in instance.servers) if instance.servers else 1
        shared = self._worker or sockets > 1
        for place in [p for p, each in self.listeners.items() if p not in limits or each.shared != shared]:
            await self._stopped(place)
        for place in limits:
            handler = partial(serve, instance.routes[place])
            if place in self.listeners:
                self.listeners[place].handler, self.listeners[place].limits = handler, limits[place]
            else:
                listener = Listener(handler, *place, limits[place], shared)
                await listener.start()
                self.listeners[place] = listener
                self.metrics.unsettled.add(listener.repeats.settle)
        for plugin in instance.plugins:
            if not (self._worker and plugin.once):
                await plugin.start()
        if self._workers is not None:
            await self._workers.resize(sockets - 1)
            self._workers.tell(RELOAD)

    async def _stopped(self, place: tuple[str, int]) -> None:
        listener = self.listeners.pop(place)
        await listener.stop()
        listener.repeats.settle()
        self.metrics.unsettled.discard(listener.repeats.settle)

    def request_reload(self) -> None:
        """Starts a reload, which stops the plugin that asks for it."""
        task = asyncio.ensure_future(self.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)

    async def reload(self) -> None:
        """Takes a changed Corefile into use; one that cannot be used is told in the log, and the old one goes on."""
        async with self._reloading:
            try:
                text = read(self._path)
                if _digest(text) == self._digest or self._instance is None:
                    return
                _log.info("Reloading")
                fresh = await self._made(text)
            except (OSError, CorefileError, ConfigError) as error:
                self.metrics.reload_failed.inc()
                _log.error("plugin/reload: the Corefile cannot be used, the old one stays: %s", error)
                return
            old, self._instance, self._digest = self._instance, fresh, _digest(text)
            for plugin in old.plugins:
                await plugin.stop()
            try:
                await self._begin(fresh)
            except OSError as error:
                self.fail(f"after a reload: {error.strerror or error}")
            else:
                _log.info("Reloading complete")

    def fail(self, text: str) -> None:
        """Ends the server with an error."""
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(StartError(text))


def _launch(path: Path, port: int) -> Launch:
    """What runs `worker`."""
    level = logging.getLogger().level
    program = Program((sys.executable, "-m", "pybernetes.dns.worker", str(path), str(port), str(level)))
    return lambda number: nullcontext(program)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
