"""What a test does to parts of its cluster: clock, faults, pods, nodes. Each may be used on any thread but the cluster's own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType

from pybernetes.aio.flowing import FlowingClock
from pybernetes.apiserver.filters.faultrules import Fault, FaultError
from pybernetes.apiserver.filters.faults import Faults

from .arguments import WrongArgument, advance
from .background import BackgroundLoop
from .core import Core
from .scripts import Command, PodScript, Scripts

__tracebackhide__ = True  # as in kube.py


class Clock:
    """The cluster's time: it goes as real time does, and can be sent ahead."""

    def __init__(self, loop: BackgroundLoop, clock: FlowingClock) -> None:
        self._loop, self._clock = loop, clock

    def now(self) -> datetime:
        """The time of day in UTC."""
        return self._clock.now()

    def advance(self, length: float | str | timedelta) -> None:
        """Lets "1h", 90 (seconds) or a timedelta pass: all that is due in it happens in order, and nothing more does now when it returns.

        What the test's own process waits for (an operator's sleep) is of this clock on a `new_event_loop` alone. WrongArgument;
        RuntimeError where such a loop, a webhook or a function of the test's never ends what it does.
        """
        self._loop.run(self._clock.advance(advance(length)))

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """A loop whose timers are of this clock: `asyncio.Runner(loop_factory=kube.clock.new_event_loop)`, on a thread of the test's.

        An advance goes from timer to timer of the cluster and of such loops, and is over when these, too, have nothing more to do now.
        """
        return self._clock.follower()


class AddedFault:
    """A rule that holds; `with` it, until the end of the block."""

    def __init__(self, faults: Faults, rule: Fault) -> None:
        self._faults, self.rule = faults, rule

    @property
    def hits(self) -> int:
        """How many requests it has failed."""
        return self.rule.hits

    def remove(self) -> None:
        """It holds no more; nothing where it does not already."""
        if self.rule in self._faults.rules:
            self._faults.rules.remove(self.rule)

    def __enter__(self) -> AddedFault:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class FaultRules:
    """The rules by which requests fail; see `Fault`. The first that hits a request has it."""

    def __init__(self, loop: BackgroundLoop, faults: Faults) -> None:
        self._loop, self._faults = loop, faults

    def add(self, **rule: object) -> AddedFault:
        """`add(verb="update", resource="configmaps", error="Conflict", nth=2)`. WrongArgument, which lists the names."""
        try:
            added = AddedFault(self._faults, Fault.read(rule))
            self._faults.add([added.rule])
        except FaultError as error:
            raise WrongArgument(f"fault: {error}") from error
        return added

    def storm(self, resource: str = "*", **rule: object) -> AddedFault:
        """Each object's first update or patch conflicts, as if another had been there before."""
        return self.add(
            **{
                "verb": ("update", "patch"),
                "resource": resource,
                "error": "Conflict",
                "nth": 1,
                "per": "object",
                **rule,
            }
        )

    def end_watches(self, resource: str = "*", gone: bool = False) -> int:
        """Cuts the watches that run, or tells them 410 (`gone`); how many. The cluster's own parts watch, too, and recover. WrongArgument."""
        if not isinstance(resource, str) or not isinstance(gone, bool):
            raise WrongArgument(
                f"end_watches({resource!r}, gone={gone!r}): want a resource, as pods or *, and True or False"
            )

        async def end() -> int:
            return self._faults.end_watches(resource, gone)

        return self._loop.run(end())

    def clear(self) -> None:
        """No rule holds any more."""
        self._faults.rules.clear()


class Pods:
    """What pods on hollow nodes do."""

    def __init__(self, loop: BackgroundLoop, core: Core, namespace: str) -> None:
        self._loop, self._core, self._namespace = loop, core, namespace

    def script(
        self,
        selector: str | Mapping[str, str] = "",
        *,
        image: str = "*",
        namespace: str = "*",
        exit: int | None = None,
        after: float | str | None = None,
        reason: str = "",
        oom: bool = False,
        ready: bool = True,
        logs: str | None = None,
        exec: str | Command | None = None,
        ports: Mapping[int, int] | None = None,
        pull_error: bool | str = False,
    ) -> PodScript:
        """For pods that begin from now on, and containers whose image is like `image`. WrongArgument.

        They end with `exit` `after` so long, for a `reason` (`oom`: 137, OOMKilled), and are restarted as their pods say; are never `ready`;
        show `logs`, also to who attaches; cannot be pulled. Who forwards a port of the pod's reaches this machine's: `ports={80: 8080}`.
        `exec` is what commands print, or a function of the command's words that returns that, or (output, exit code), or raises; it runs on
        a thread and may ask the cluster.
        """
        return self._scripts.add(
            selector,
            image=image,
            namespace=namespace,
            exit=exit,
            after=after,
            reason=reason,
            oom=oom,
            ready=ready,
            logs=logs,
            exec=exec,
            ports=ports,
            pull_error=pull_error,
        )

    @property
    def _scripts(self) -> Scripts:
        return self._core.scripts

    def clear(self) -> None:
        """Without scripts again."""
        self._scripts.clear()

    def end(self, name: str, exit: int = 0, *, container: str = "", reason: str = "", namespace: str = "") -> None:
        """The pod's containers, or the one that is named, end now. WrongArgument where none of them runs on a hollow node."""
        place = namespace or self._namespace

        async def end() -> None:
            pod, nodes = await self._core.get("pods", name, place), self._core.cluster.nodes
            ended = (
                nodes.end(pod["metadata"]["uid"], container, exit, reason)
                if pod is not None and nodes is not None
                else 0
            )
            if not ended:
                raise WrongArgument(f"pods.end({name!r}): no such container runs in {place} on a hollow node")

        self._loop.run(end())

    def evict(self, name: str, namespace: str = "") -> None:
        """As kubectl drain does. StatusError 429 where a disruption budget refuses."""
        self._loop.run(self._core.evict(name, namespace or self._namespace))


class Nodes:
    """The hollow nodes."""

    def __init__(self, loop: BackgroundLoop, core: Core) -> None:
        self._loop, self._core = loop, core

    @property
    def names(self) -> list[str]:
        """hollow-0, hollow-1, ..., also those that were killed."""
        nodes = self._core.cluster.nodes
        return list(nodes.names) if nodes is not None else []

    def kill(self, name: str) -> None:
        """As if its power had gone: nothing is said, its lease runs out. WrongArgument where none of this name runs."""

        async def kill() -> None:
            try:
                await self._core.cluster.kill_node(name)
            except KeyError:
                raise WrongArgument(f"node {name!r} does not run; there is {', '.join(self.names) or 'none'}") from None

        self._loop.run(kill())
