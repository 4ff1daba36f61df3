"""Clusters as context managers: `Cluster` with its handle, `cluster()` with where it answers alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from pybernetes.aio.flowing import FlowingClock
from pybernetes.apiserver.filters.exchange import Link
from pybernetes.apiserver.filters.faultrules import NAMES, Fault, FaultError
from pybernetes.apiserver.filters.faults import Faults
from pybernetes.store.memory import Snapshot

from . import arguments, manifests
from .addresses import LOOPBACK
from .akube import AsyncKube, apart
from .arguments import WrongArgument
from .background import BackgroundLoop
from .cluster import SIGNING_SECONDS, RunningCluster, TestCluster
from .core import AGENT, PARTS, Core
from .kube import Kube
from .requests import Recorder
from .scripts import Scripts


class Cluster:
    """`with Cluster(controllers="all", nodes=3) as kube:` a Kube, `async with` an AsyncKube. Each begins a cluster of its own.

    `controllers`: "all" or names as kube-controller-manager's --controllers takes them; `scheduler` places pods on `nodes`, so many hollow
    ones. `crds`, `objects`: paths or what else `Kube.apply` takes, applied first. `faults`: rules as `Fault` or dicts. `state`: what another
    cluster had (`Kube.snapshot`). WrongArgument at once, before anything starts.
    """

    def __init__(
        self,
        *,
        controllers: str | bool | Sequence[str] = (),
        scheduler: bool = False,
        nodes: int = 0,
        crds: Any = (),
        objects: Any = (),
        faults: Sequence[Fault | dict[str, Any]] = (),
        state: Snapshot | None = None,
        version: str = "",
    ) -> None:
        arguments.version(version)
        self._controllers = arguments.controllers(controllers)
        self._scheduler, self._nodes = arguments.scheduler(scheduler), arguments.number_of_nodes("nodes", nodes)
        self._objects = [*manifests.objects(_several(crds)), *manifests.objects(_several(objects))]
        try:
            self._faults = [Fault.read(rule) for rule in faults]
        except FaultError as error:
            raise WrongArgument(f"faults: {error}") from error
        if state is not None and not isinstance(state, Snapshot):
            raise WrongArgument(f"state={state!r}: want what snapshot() has given")
        self._state = state
        self._open: list[ExitStack] = []

    def __enter__(self) -> Kube:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pybernetes-")))
            loop = BackgroundLoop("pybernetes-cluster")
            stack.callback(loop.close)
            core = loop.run(self._make(folder))
            loop.run(_started(core))
            stack.callback(lambda: loop.run(core.stop()))
            stack.callback(core.clients.close)
            kube = Kube(loop, core, core.administrator())
            if self._objects:
                kube.apply(self._objects)
            loop.run(core.mark())
            core.faults.rules += [Fault.read({**_given(rule)}) for rule in self._faults]
            self._open.append(stack.pop_all())
        return kube

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.pop().close()

    async def __aenter__(self) -> AsyncKube:
        return AsyncKube(await apart(self.__enter__))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await apart(self._open.pop().close)

    async def _make(self, folder: Path) -> Core:
        return make(folder, self._nodes, self._controllers, self._scheduler, state=self._state)


def make(
    folder: Path,
    nodes: int,
    controllers: str | bool | Sequence[str],
    scheduler: bool,
    *,
    host: str = LOOPBACK,
    state: Snapshot | None = None,
    outermost: Sequence[Link] = (),
) -> Core:
    """A cluster that can be watched, hindered and sent ahead; to be started on the running loop. WrongArgument."""
    clock, scripts = FlowingClock(), Scripts()
    recorder, faults = Recorder(unseen=(AGENT,)), Faults(clock, PARTS)
    cluster = TestCluster(
        folder,
        nodes,
        controllers,
        scheduler,
        clock,
        host=host,
        state=state,
        watching=[*outermost, recorder],
        failing=[faults],
        scripts=scripts,
    )
    return Core(folder, cluster, clock, recorder, faults, scripts)


async def _started(core: Core) -> None:
    """RuntimeError, whose cause is why it does not start."""
    try:
        await core.start()
    except Exception as error:
        raise RuntimeError(f"the test cluster did not start: {error}") from error


def _given(rule: Fault) -> dict[str, Any]:
    """What a rule was made of: each cluster counts for itself."""
    return {name: getattr(rule, name) for name in NAMES}


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


@contextmanager
def cluster(
    hollow_nodes: int = 0,
    controllers: str | bool | Sequence[str] = (),
    scheduler: bool = False,
    signing_seconds: float = SIGNING_SECONDS,
) -> Iterator[RunningCluster]:
    """A cluster on a thread of its own, for tests that are not asynchronous. WrongArgument; RuntimeError where it does not start."""
    with tempfile.TemporaryDirectory(prefix="pybernetes-") as folder:
        running = TestCluster(Path(folder), hollow_nodes, controllers, scheduler, signing_seconds=signing_seconds)
        loop = BackgroundLoop("pybernetes-cluster")
        try:
            try:
                started = loop.run(running.start())
            except Exception as error:
                raise RuntimeError(f"the test cluster did not start: {error}") from error
            try:
                yield started
            finally:
                loop.run(running.stop())
        finally:
            loop.close()
