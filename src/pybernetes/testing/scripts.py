"""What pods on hollow nodes do, as a test has said it in Python: annotations of hollowscript that only their kubelets see."""

from __future__ import annotations

import asyncio
import fnmatch
import inspect
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pybernetes.aio.outside import outside
from pybernetes.api.labels import Selector, parse_selector
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.hollow import as_scripted
from pybernetes.kubelet.runtime.hollow import ExecHandler
from pybernetes.kubelet.runtime.hollowscript import DOMAIN, ScriptError, script
from pybernetes.kubelet.runtime.types import ExecResult, RuntimeFailure

from . import arguments
from .arguments import WrongArgument, duration

MAX_SCRIPTS = 1000
OOM_KILLED, KILLED = "OOMKilled", 137

# What a test's function answers for a command: the output, or it and the exit code.
Output = str | bytes | tuple[str | bytes, int]
Command = Callable[[Sequence[str]], Output | Awaitable[Output]]


@dataclass(frozen=True)
class PodScript:
    """Which pods and containers, and the annotations that they seem to have."""

    selector: Selector
    namespace: str  # a pattern
    image: str  # a pattern
    words: Mapping[str, str]

    def annotations(self, pod: core.Pod) -> dict[str, str]:
        if not fnmatch.fnmatchcase(pod.metadata.namespace, self.namespace):
            return {}
        if not self.selector.matches(pod.metadata.labels):
            return {}
        if self.image == "*":
            return {f"{DOMAIN}/{name}": text for name, text in self.words.items()}
        containers = [*pod.spec.init_containers, *pod.spec.containers]
        chosen = [one.name for one in containers if fnmatch.fnmatchcase(one.image, self.image)]
        return {f"{name}.{DOMAIN}/{word}": text for name in chosen for word, text in self.words.items()}


Kept = tuple[list[PodScript], dict[str, ExecHandler]]


class Scripts:
    """Of one cluster. A later script goes before an earlier one, an annotation of the pod itself before all."""

    def __init__(self) -> None:
        self.handlers: dict[str, ExecHandler] = {}
        self._scripts: list[PodScript] = []
        self._numbers = itertools.count(1)

    def add(
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
        """See `Pods.script`. WrongArgument."""
        if len(self._scripts) >= MAX_SCRIPTS:
            raise WrongArgument(f"there are {MAX_SCRIPTS} scripts already: clear() them first")
        selector = arguments.selector(selector)
        texts = {"image": image, "namespace": namespace, "reason": reason, "logs": logs or ""}
        for name, text in texts.items():
            if not isinstance(text, str):
                raise WrongArgument(f"script(): {name}={text!r}: want a text")
        for name, answer in {"oom": oom, "ready": ready}.items():
            if not isinstance(answer, bool):
                raise WrongArgument(f"script(): {name}={answer!r}: want true or false")
        if exec is not None and not isinstance(exec, str) and not callable(exec):
            raise WrongArgument(f"script(): exec={exec!r}: want what commands print, or a function of the command")
        if not isinstance(pull_error, bool | str):
            raise WrongArgument(f"script(): pull_error={pull_error!r}: want true, or what the kubelet is told")
        words: dict[str, str] = {}
        if oom:
            exit, reason = KILLED if exit is None else exit, reason or OOM_KILLED
        if exit is not None:
            words["exit-code"] = str(exit)
        if after is not None:
            words["exit-after"] = f"{duration('after', after):.9f}s"
        if reason:
            words["exit-reason"] = reason
        if not ready:
            words["never-ready"] = "true"
        if logs is not None:
            words["logs"] = logs
        if pull_error:
            words["pull-error"] = (
                pull_error if isinstance(pull_error, str) else "failed to resolve reference: not found"
            )
        if isinstance(exec, str):
            words["exec-output"] = exec
        elif exec is not None:
            words["exec-handler"] = f"handler-{next(self._numbers)}"
        if ports is not None and not isinstance(ports, Mapping):
            raise WrongArgument(f"script(): ports={ports!r}: want {{PORT: LOCAL}}, ports of pods and of this machine")
        if ports:
            words["port-forward"] = ",".join(f"{port}={local}" for port, local in ports.items())
        if not words:
            raise WrongArgument(
                "script(): want at least one of exit, after, reason, oom, ready, logs, exec, ports, pull_error"
            )
        try:
            parsed = parse_selector(selector)
            script({f"{DOMAIN}/{name}": text for name, text in words.items()}, "c")
        except (ScriptError, ValueError) as error:
            raise WrongArgument(f"script(): {error}") from error
        if exec is not None and not isinstance(exec, str):
            self.handlers[words["exec-handler"]] = _handler(exec)
        added = PodScript(parsed, namespace, image, words)
        self._scripts.append(added)
        return added

    def clear(self) -> None:
        """Pods do again what they do by themselves."""
        self._scripts.clear()
        self.handlers.clear()

    def kept(self) -> Kept:
        """To be gone back to."""
        return list(self._scripts), dict(self.handlers)

    def go_back(self, kept: Kept) -> None:
        """Scripts that came since are gone."""
        self._scripts[:] = kept[0]
        self.handlers.clear()  # the nodes have this very table
        self.handlers.update(kept[1])

    def seen(self, pod: core.Pod) -> core.Pod:
        """The pod as its kubelet is to see it."""
        told: dict[str, str] = {}
        for one in self._scripts:
            told |= one.annotations(pod)
        if told:
            metadata = msgspec.structs.replace(pod.metadata, annotations={**told, **pod.metadata.annotations})
            pod = msgspec.structs.replace(pod, metadata=metadata)
        return as_scripted(pod)


def _handler(command: Command) -> ExecHandler:
    """On a thread, so that it may ask the cluster; what is asynchronous on the cluster's loop. RuntimeFailure for what it raises."""

    async def answer(words: Sequence[str]) -> ExecResult:
        try:
            with outside():
                answered = await asyncio.to_thread(command, list(words))
            if inspect.isawaitable(answered):
                answered = await answered
        except Exception as error:  # a function of the test's: whoever runs the command is told
            raise RuntimeFailure(f"the test's exec function failed: {type(error).__name__}: {error}") from error
        output, code = answered if isinstance(answered, tuple) else (answered, 0)
        if not isinstance(output, str | bytes) or not isinstance(code, int):
            raise RuntimeFailure(
                f"the test's exec function returned {answered!r}: want the output, or (output, exit code)"
            )
        return ExecResult(code, output.encode() if isinstance(output, str) else output)

    return answer
