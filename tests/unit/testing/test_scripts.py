"""What pods are scripted to do, as their kubelets see it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.types import meta_v1 as meta
from pybernetes.kubelet.runtime.hollowscript import DOMAIN
from pybernetes.kubelet.runtime.types import ExecResult, RuntimeFailure
from pybernetes.testing.scripts import Scripts


def pod(**annotations: str) -> core.Pod:
    containers = [
        core.Container(name="app", image="registry/app:1"),
        core.Container(name="side", image="registry/side:1"),
    ]
    metadata = meta.ObjectMeta(name="p", namespace="default", labels={"app": "web"}, annotations=annotations)
    return core.Pod(metadata=metadata, spec=core.PodSpec(containers=containers))


@pytest.mark.parametrize(
    ("selector", "more", "seen"),
    [
        ("app=web", {}, {f"{DOMAIN}/exit-code": "1"}),
        ("app=db", {}, {}),
        ("", {"namespace": "default"}, {f"{DOMAIN}/exit-code": "1"}),
        ("", {"namespace": "kube-*"}, {}),
        ("", {"image": "*/side:*"}, {f"side.{DOMAIN}/exit-code": "1"}),
        ("", {"image": "nginx"}, {}),
        ("", {"after": "1.5s"}, {f"{DOMAIN}/exit-code": "1", f"{DOMAIN}/exit-after": "1.500000000s"}),
    ],
)
def test_which_pods_and_containers(selector: str, more: dict[str, Any], seen: dict[str, str]) -> None:
    scripts = Scripts()
    scripts.add(selector, exit=1, **more)
    assert scripts.seen(pod()).metadata.annotations == seen


def test_later_scripts_and_own_annotations_go_before() -> None:
    scripts = Scripts()
    scripts.add(exit=1, logs="first")
    scripts.add(exit=2)
    seen = scripts.seen(pod(**{f"{DOMAIN}/logs": "own"})).metadata.annotations
    assert seen == {f"{DOMAIN}/exit-code": "2", f"{DOMAIN}/logs": "own"}
    scripts.clear()
    assert scripts.seen(pod()).metadata.annotations == {}


async def awaited(command: Sequence[str]) -> str:
    return " ".join(command)


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (lambda command: "text", ExecResult(0, b"text")),
        (lambda command: (b"bytes", 3), ExecResult(3, b"bytes")),
        (awaited, ExecResult(0, b"ls -l")),
        (lambda command: 1 / 0, "the test's exec function failed: ZeroDivisionError: division by zero"),
        (lambda command: None, "the test's exec function returned None: want the output, or (output, exit code)"),
    ],
)
def test_functions_that_answer_commands(function: Any, result: ExecResult | str) -> None:
    scripts = Scripts()
    scripts.add(exec=function)
    (handler,) = scripts.handlers.values()

    async def main() -> ExecResult:
        return await handler(["ls", "-l"])

    if isinstance(result, ExecResult):
        assert asyncio.run(main()) == result
    else:
        with pytest.raises(RuntimeFailure) as refused:
            asyncio.run(main())
        assert str(refused.value) == result
