"""Keeps the config map kube-root-ca.crt in each namespace (upstream: pkg/controller/certificates/rootcacertpublisher)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from pathlib import Path

from pybernetes.api.errors import StatusError
from pybernetes.api.types import core_v1 as core
from pybernetes.pki.reloading import Reloaded

from ...common import Key, namespace_terminating
from ...framework import Context, Controller
from ...options import Options
from .plan import NAME, plan

FOLLOW_SECONDS = 10.0  # between looks at the CA's file


class RootCACertPublisher(Controller):
    """One queue of namespaces; only the config maps of its name are watched."""

    name = "root-ca-certificate-publisher-controller"
    account = "root-ca-cert-publisher"

    def __init__(self, context: Context) -> None:
        super().__init__(context, workers=5)
        self._data = {"ca.crt": context.options.root_ca.decode()}
        self._namespaces = self.informer(core.Namespace)
        self._maps = self.informer(core.ConfigMap, field_selector=f"metadata.name={NAME}")
        self._namespaces.add_handler(self._on_namespace)
        self._maps.add_handler(self._on_map)

    @classmethod
    def lacks(cls, options: Options) -> str:
        """Nothing can be published without the CA's certificate."""
        return "" if options.root_ca else "--root-ca-file is not set"

    def _on_namespace(self, old: core.Namespace | None, new: core.Namespace | None) -> None:
        if new is not None:
            self.enqueue(new)

    def _on_map(self, old: core.ConfigMap | None, new: core.ConfigMap | None) -> None:
        changed = new if new is not None else old
        if old is not None and changed is not None:
            self.queue.add(("", changed.metadata.namespace))

    def background(self) -> Iterable[Awaitable[None]]:
        """Where the CA has a file."""
        return (self._follow(Path(self.context.options.root_ca_file)),) if self.context.options.root_ca_file else ()

    async def _follow(self, path: Path) -> None:
        """Pods learn of an authority that is replaced while both are trusted (upstream reads the file at its start only)."""
        bundle = Reloaded(path.read_text, [path])
        while True:
            data = {"ca.crt": bundle.current()}
            if data != self._data:
                self._data = data
                for namespace in self._namespaces.list():
                    self.enqueue(namespace)
            await self.context.clock.sleep(FOLLOW_SECONDS)

    async def sync(self, key: Key) -> None:
        """Makes it or puts it right."""
        namespace = self._namespaces.get(key[1])
        if namespace is None or namespace.status.phase != "Active":
            return
        existing = self._maps.get(NAME, key[1])
        desired = plan(existing, key[1], self._data)
        if desired is None:
            return
        try:
            if existing is None:
                await self.client.create(desired)
            else:
                await self.client.update(desired)
        except StatusError as error:
            # Made by another, or the namespace is gone or going: there is news of it to come.
            if existing is None and (error.code in (404, 409) or namespace_terminating(error)):
                return
            raise
