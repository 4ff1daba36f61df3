"""The loop: what the API has → nginx (upstream: internal/ingress/controller/nginx.go). Each controller serves by itself; nobody is elected for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from pybernetes.aio.clock import Clock
from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import discovery_v1 as discovery
from pybernetes.api.types import networking_v1 as networking
from pybernetes.api.wellknown import LABEL_SERVICE_NAME
from pybernetes.client.events import EventRecorder
from pybernetes.client.types import Informers, present

from . import plan
from .annotations import PREFIX
from .backends import Services
from .classes import Classes
from .metrics import Metrics
from .model import Certificate, Configuration, Key, Problem
from .nginx import NginxError, line_of
from .render import Host, Rendered, render

_log = logging.getLogger(__name__)

COMPONENT = "nginx-ingress-controller"
# Ingresses that nginx refuses are found one by one: of a round so many, the rest in the next ones.
REFUSALS_A_ROUND = 20
RETRY_SECONDS = 5.0
NOBODY: Key = ("", "")


@dataclass(frozen=True, slots=True)
class Config:
    """Flags; `rate` is how often a second nginx may read its configuration anew."""

    classes: Classes = field(default_factory=Classes)
    namespace: str = ""
    default_backend: Key | None = None
    default_certificate: Key | None = None
    prefix: str = PREFIX
    external_names: bool = True
    rate: float = 0.3


class Server(Protocol):
    """What is needed of `nginx.Nginx`."""

    def write(self, contents: Mapping[str, bytes], readable: frozenset[str], /) -> None: ...

    async def test(self, rendered: Rendered, /) -> str: ...

    def take(self, keep: Mapping[str, bytes], /) -> None: ...


class IngressController:
    """`run` until cancelled. `ours` is for who writes statuses."""

    def __init__(
        self,
        config: Config,
        machine: Host,
        fallback: Certificate,
        server: Server,
        informers: Informers,
        recorder: EventRecorder,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._config, self._machine, self._fallback, self._server = config, machine, fallback, server
        self._informers, self._recorder, self._metrics, self._clock = informers, recorder, metrics, clock
        space = config.namespace
        self._ingresses = informers.informer(networking.Ingress, space)
        self._classes = informers.informer(networking.IngressClass)
        self._services = informers.informer(core.Service, space)
        self._slices = informers.informer(discovery.EndpointSlice, space)
        # Helm's are large, and none of them is a certificate (upstream leaves them out, too).
        self._secrets = informers.informer(core.Secret, space, field_selector="type!=helm.sh/release.v1")
        self._changed = asyncio.Event()
        self._running: tuple[str, Mapping[str, bytes]] | None = None
        self._told: set[Problem] = set()
        self._good: dict[Key, networking.Ingress] = {}  # each as nginx took it last
        self._refused: dict[Key, tuple[networking.Ingress, str]] = {}
        self._problem = "no configuration has been taken yet"

    def problem(self) -> str:
        """For health."""
        return self._problem

    def ours(self) -> list[networking.Ingress]:
        """The Ingresses of this controller's classes."""
        names = self._config.classes.names(self._classes.list())
        return [each for each in self._ingresses.list() if self._config.classes.has(each, names)]

    async def run(self) -> None:
        """A round for whatever has changed, not more often than the rate allows."""
        await self._informers.wait_synced()
        self._ingresses.add_handler(self._on_ingress)
        for source in (self._classes, self._services, self._slices, self._secrets):
            source.add_handler(self._on_change)
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                reloaded = await self.sync()
            except (NginxError, OSError) as error:
                self._failed(str(error))
                await self._clock.sleep(RETRY_SECONDS)
                self._changed.set()
                continue
            if reloaded:
                await self._clock.sleep(1 / self._config.rate)

    def _on_change(self, old: object | None, new: object | None) -> None:
        self._changed.set()

    def _on_ingress(self, old: networking.Ingress | None, new: networking.Ingress | None) -> None:
        if old is not None and new is not None and _asks(old) == _asks(new):
            return  # its status
        self._changed.set()
        ingress = present(old, new)
        names = self._config.classes.names(self._classes.list())
        if new is not None and self._config.classes.has(ingress, names):
            self._recorder.normal(ingress, "Sync", "Scheduled for sync")

    # --- a round ----------------------------------------------------------------------------------

    async def sync(self) -> bool:
        """Whether nginx got another configuration. NginxError, OSError."""
        ingresses = {(each.metadata.namespace, each.metadata.name): each for each in self.ours()}
        self._refused = {key: told for key, told in self._refused.items() if _same(ingresses.get(key), told[0])}
        for _ in range(REFUSALS_A_ROUND):
            used = self._usable(ingresses)
            configuration = plan.configuration(self._world(list(used.values())))
            rendered = render(configuration, self._machine)
            if self._running == (rendered.text, configuration.files):
                self._done(ingresses, configuration)
                return False
            self._server.write(configuration.files, configuration.readable)
            complaint = await self._server.test(rendered)
            if not complaint:
                self._server.take(configuration.files)
                self._running = (rendered.text, configuration.files)
                self._good = {key: used[key] for key in used}
                self._metrics.reloads.inc()
                self._metrics.last.set(self._clock.now().timestamp())
                self._done(ingresses, configuration)
                return True
            culprit = self._culprit(complaint, rendered, configuration)
            if culprit is None or culprit not in used:
                self._failed(f"nginx does not take the configuration, the one before stays: {complaint}")
                return False
            self._refuse(culprit, ingresses[culprit], used[culprit], complaint)
        self._changed.set()
        return False

    def _usable(self, ingresses: Mapping[Key, networking.Ingress]) -> dict[Key, networking.Ingress]:
        """Of one that nginx refuses as it is now, what it took before."""
        chosen = {}
        for key, ingress in ingresses.items():
            if key not in self._refused:
                chosen[key] = ingress
            elif key in self._good:
                chosen[key] = self._good[key]
        return chosen

    def _refuse(self, key: Key, ingress: networking.Ingress, used: networking.Ingress, complaint: str) -> None:
        if key in self._refused and used is self._good.get(key):
            del self._good[key]  # what it was before is refused as well
        self._refused[key] = (ingress, complaint)
        self._metrics.errors.inc()

    def _culprit(self, complaint: str, rendered: Rendered, configuration: Configuration) -> Key | None:
        """Whose line it is, or whose file it names."""
        if owner := rendered.owner(line_of(complaint)):
            return owner
        return next((min(keys) for name, keys in configuration.uses.items() if name in complaint), None)

    def _done(self, ingresses: Mapping[Key, networking.Ingress], configuration: Configuration) -> None:
        self._problem = ""
        self._metrics.successful.set(0.0 if self._refused else 1.0)
        self._metrics.expires.clear()
        self._metrics.expires.update({(name,): ends.timestamp() for name, ends in configuration.ends.items()})
        refusals = [
            Problem(key, "Rejected", f"nginx refuses it, and it stays as it was: {complaint}")
            for key, (_, complaint) in self._refused.items()
        ]
        problems = {*configuration.problems, *refusals}
        for each in sorted(problems - self._told, key=lambda problem: (problem.ingress, problem.text)):
            _log.warning("ingress %s: %s", "/".join(each.ingress) if each.ingress != NOBODY else "-", each.text)
            if each.ingress in ingresses:
                self._recorder.warning(ingresses[each.ingress], each.reason, each.text[:1000])
        self._told = problems

    def _failed(self, text: str) -> None:
        if text != self._problem:
            _log.error("%s", text)
        self._problem = text
        self._metrics.errors.inc()
        self._metrics.successful.set(0.0)

    def _world(self, ingresses: list[networking.Ingress]) -> plan.World:
        slices: dict[Key, list[discovery.EndpointSlice]] = {}
        for each in self._slices.list():
            if name := each.metadata.labels.get(LABEL_SERVICE_NAME):
                slices.setdefault((each.metadata.namespace, name), []).append(each)
        services = {(each.metadata.namespace, each.metadata.name): each for each in self._services.list()}
        secrets = {(each.metadata.namespace, each.metadata.name): each for each in self._secrets.list()}
        config = self._config
        return plan.World(
            ingresses,
            Services(services, slices, config.external_names),
            secrets,
            self._fallback,
            config.default_backend,
            config.default_certificate,
            config.prefix,
        )


def _asks(ingress: networking.Ingress) -> tuple[bytes, Mapping[str, str]]:
    return msgspec.json.encode(ingress.spec), ingress.metadata.annotations


def _same(now: networking.Ingress | None, then: networking.Ingress) -> bool:
    return now is not None and now.metadata.uid == then.metadata.uid and _asks(now) == _asks(then)
