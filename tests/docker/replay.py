"""Plays what a real kubelet made of pods (tests/golden/node/pods) against this one, on a Docker engine.

python -m tests.docker.replay                      # all of them: same / differs, with the first difference of each
python -m tests.docker.replay host-network tty-stdin
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import string
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from pybernetes.kubelet.runtime.types import RuntimeFailure

from ..recorded import Change, amended
from .compare import Differs, MissingEvent, same_events, same_history, same_inspect, same_status, same_text
from .differences import CHANGED, DIFFERENCES, RACES, in_todays_words
from .engine import socket_path
from .node import NODE, TestNode, ensure_images, running_node
from .observe import Observer, history_entry

CASES = Path(__file__).resolve().parents[1] / "golden" / "node" / "pods"
AT_ONCE = 6
WITHIN_SECONDS = 120.0
POLL_SECONDS = 0.1
LATE_SECONDS = 60.0  # for what the kubelet writes after that what was waited for
SETTLE_SECONDS = 0.3  # for what follows a condition at once: the next event, the next status
PATHS = {
    "Pod": "/api/v1/namespaces/{ns}/pods",
    "ConfigMap": "/api/v1/namespaces/{ns}/configmaps",
    "Secret": "/api/v1/namespaces/{ns}/secrets",
    "Service": "/api/v1/namespaces/{ns}/services",
    "ServiceAccount": "/api/v1/namespaces/{ns}/serviceaccounts",
    "PersistentVolumeClaim": "/api/v1/namespaces/{ns}/persistentvolumeclaims",
    "PersistentVolume": "/api/v1/persistentvolumes",
    "PriorityClass": "/apis/scheduling.k8s.io/v1/priorityclasses",
}
VERSIONS = {"PriorityClass": "scheduling.k8s.io/v1"}
STATIC_UID = re.compile(r"pod[0-9a-f]{32}")  # follows from the place of the file
# About the scheduler, which has no part in these tests.
NOT_OF_A_NODE = ("unschedulable", "pvc-missing")


def cases() -> Iterator[str]:
    """Names of the cases that a node alone can play."""
    return (path.stem for path in sorted(CASES.glob("*.yaml")) if path.stem not in NOT_OF_A_NODE)


class Player:
    """One case, in a namespace of its own."""

    def __init__(self, node: TestNode, name: str) -> None:
        self._node = node
        text = (CASES / f"{name}.yaml").read_text().replace("/run/docker.sock", socket_path())
        text = STATIC_UID.sub("pod<uid>", text)
        for recorded, today in CHANGED.get(name, {}).items():
            assert recorded in text, f"{name}: {recorded!r} was not recorded"
            text = text.replace(recorded, today)
        self._case: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
        self._case["expect"] = in_todays_words(self._case["expect"])
        self._race = RACES[name].changes if name in RACES else ()
        word = "".join(random.choice(string.ascii_lowercase) for _ in range(8))
        self._saved = {"ns": f"g-{word}", "run": word}
        self._history: list[dict[str, Any]] = []
        self._changes = [change for difference in DIFFERENCES.get(name, ()) for change in difference.changes]
        self._observer = Observer(node, self._saved)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            filled = re.sub(r"\{(ns|run)\}", lambda m: self._saved[m[1]], value)
            return filled.replace("<dir>", str(self._node.folder))
        if isinstance(value, list):
            return [self._fill(v) for v in value]
        return {self._fill(k): self._fill(v) for k, v in value.items()} if isinstance(value, dict) else value

    async def _send(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        data = b"" if body is None else json.dumps(body, default=str).encode()
        answer = await self._node.http.request(method, self._fill(path), [("Content-Type", kind)], data, timeout=60)
        if answer.status >= 400:
            raise Differs(f"{method} {path} was answered {answer.status}: {answer.body[:300]!r}")
        return json.loads(answer.body)

    async def play(self) -> None:
        """Raises Differs."""
        await self._send("POST", "/api/v1/namespaces", {"metadata": {"name": self._saved["ns"]}})
        await self._send("POST", PATHS["ServiceAccount"], {"metadata": {"name": "default"}})
        root = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x"}}
        await self._send("POST", PATHS["ConfigMap"], root)
        watcher = asyncio.ensure_future(self._watch())
        try:
            await self._host(self._case.get("host"))
            for made in self._case.get("objects") or ():
                await self._create(self._fill(made))
            await self._wait(self._case.get("wait") or ["ready"], self._case)
            await self._look(0)
            for number, step in enumerate(self._case.get("then") or (), 1):
                await self._step(step)
                await self._look(number)
            if self._case.get("history"):
                await self._compare_history()
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
            await self._leave()

    async def _look(self, step: int) -> None:
        """Compares what is there after a step (0: at first) with what upstream shows today. Differs, also for a change that is not needed."""
        end = asyncio.get_running_loop().time() + LATE_SECONDS
        while True:
            try:
                await self._compare_with_race(step)
                break
            except Differs:
                # The rest of the status, or the next event of a back-off or a kill, may be later than what is waited for.
                if asyncio.get_running_loop().time() > end:
                    raise
            await asyncio.sleep(POLL_SECONDS)
        for change in self._changes:
            if change.step != step:
                continue
            try:
                await self._compare(self._expected(step, but=change), first=not step)
            except Differs:
                continue
            raise Differs(f"seen as recorded, take it out of differences.py: {change}")

    async def _compare_with_race(self, step: int) -> None:
        """As recorded, or as the other outcome of a race of upstream's own."""
        expected, other = self._expected(step), [change for change in self._race if change.step == step]
        try:
            await self._compare(expected, first=not step)
        except Differs as recorded:
            if not other:
                raise
            try:
                await self._compare(amended(expected, other), first=not step)
            except Differs as raced:
                raise recorded if isinstance(recorded, MissingEvent) else raced from None

    async def _compare_history(self) -> None:
        """Its last states may be a moment later than what was waited for."""
        end = asyncio.get_running_loop().time() + LATE_SECONDS
        await asyncio.sleep(SETTLE_SECONDS)
        while True:
            try:
                same_history(self._case["expect"]["history"], self._history)
                return
            except Differs:
                if asyncio.get_running_loop().time() > end:
                    raise
            await asyncio.sleep(POLL_SECONDS)

    def _expected(self, step: int, but: Change | None = None) -> Any:
        recorded = self._case["expect"].get(f"then-{step}") if step else self._case["expect"]
        return amended(recorded, [change for change in self._changes if change.step == step and change != but])

    async def _leave(self) -> None:
        """Nothing stays: pods go at once, the host's files by the case's own commands."""
        await self._host(self._case.get("after"))
        for pod in await self._pods():
            with contextlib.suppress(Differs):
                path = f"/api/v1/namespaces/{self._saved['ns']}/pods/{pod['metadata']['name']}"
                await self._send("DELETE", path, {"gracePeriodSeconds": 1})

    async def _host(self, commands: list[str] | None) -> None:
        for command in commands or ():
            await asyncio.to_thread(subprocess.run, ["sh", "-c", self._fill(command)], check=False, capture_output=True)

    async def _create(self, made: dict[str, Any]) -> None:
        kind = made["kind"]
        body = {"apiVersion": VERSIONS.get(kind, "v1"), **made}
        if kind == "Pod":
            body["spec"].setdefault("nodeName", NODE)
        created = await self._send("POST", PATHS[kind], body)
        if kind == "PersistentVolumeClaim":
            await self._bind(created)

    async def _bind(self, claim: dict[str, Any]) -> None:
        """What the volume binder would do."""
        volumes = (await self._send("GET", PATHS["PersistentVolume"]))["items"]
        wanted = claim["spec"]["storageClassName"]
        claim["spec"]["volumeName"] = next(
            v["metadata"]["name"] for v in volumes if v["spec"]["storageClassName"] == wanted
        )
        path = f"{PATHS['PersistentVolumeClaim']}/{claim['metadata']['name']}"
        claim = await self._send("PUT", path, claim)
        await self._send("PUT", f"{path}/status", {**claim, "status": {"phase": "Bound"}})

    async def _step(self, step: dict[str, Any]) -> None:
        if "host" in step:
            await self._host([step["host"]])
        elif "create" in step:
            await self._create(self._fill(step["create"]))
        elif "delete" in step:
            path = f"/api/v1/namespaces/{self._saved['ns']}/pods/{step['delete']}"
            await self._send("DELETE", path, step.get("options"))
        elif "patch" in step:
            path = f"/api/v1/namespaces/{self._saved['ns']}/{step['patch']}"
            await self._send("PATCH", path, self._fill(step["body"]), "application/strategic-merge-patch+json")
        await self._wait(step.get("wait") or [], step)

    async def _wait(self, conditions: list[str], step: dict[str, Any]) -> None:
        end = asyncio.get_running_loop().time() + max(float(step.get("within", 0)), WITHIN_SECONDS)
        for condition in conditions:
            if condition.startswith("sleep:"):
                await asyncio.sleep(float(condition[6:]))
                continue
            while not await self._holds(condition):
                if asyncio.get_running_loop().time() > end:
                    raise Differs(f"never: {condition}: {await self._summary()}")
                await asyncio.sleep(POLL_SECONDS)
        if conditions:
            await asyncio.sleep(float(step.get("settle", SETTLE_SECONDS)))

    async def _summary(self) -> str:
        states = [
            f"{pod['status'].get('phase')} {[c.get('state') for c in pod['status'].get('containerStatuses', [])]}"
            for pod in await self._pods()
        ]
        return f"{states} {[e['message'] for e in await self._events()][-3:]}"

    async def _pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._send("GET", PATHS["Pod"]))["items"]
        return found

    async def _events(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._send("GET", "/api/v1/namespaces/{ns}/events"))["items"]
        return sorted(found, key=lambda e: int(e["metadata"]["name"].rpartition(".")[2], 16))  # when it was made

    async def _holds(self, condition: str) -> bool:
        word, _, argument = condition.partition(":")
        if word == "event":
            reason, _, count = argument.partition(":")
            total = sum(e.get("count") or 1 for e in await self._events() if e["reason"] == reason)
            return total >= int(count or 1)
        pods = await self._pods()
        if word == "gone":
            return not pods
        return bool(pods) and all(pod_meets(pod, word, argument) for pod in pods)

    async def _compare(self, expect: dict[str, Any] | None, first: bool) -> None:
        if expect is None:
            return
        whole = self._fill(expect["observed"] if first else expect)
        pods = {pod["metadata"]["name"]: pod for pod in await self._pods()}
        for name, of_pod in (whole.get("pods") or {}).items():
            if name not in pods:
                raise Differs(f"pod {name} is not there")
            await self._compare_pod(name, of_pod, pods[name])
        if "events" in whole:
            same_events(whole["events"], await self._events(), self._saved)

    async def _compare_pod(self, name: str, wanted: dict[str, Any], pod: dict[str, Any]) -> None:
        same_status(wanted.get("status") or {}, self._observer.neutral(pod["status"]), name)
        seen = await self._observer.containers(pod)
        if "sandbox" in wanted:
            same_inspect(wanted["sandbox"], seen.sandbox, f"{name}.sandbox")
        for container, of_container in (wanted.get("containers") or {}).items():
            if container not in seen.containers:
                raise Differs(f"{name}: container {container} is not there")
            got = seen.containers[container]
            same_inspect(of_container, got, f"{name}.{container}")
            if "log" in of_container:
                same_text(of_container["log"], await self._observer.log(got), f"{name}.{container}.log")
            if "inside" in of_container:
                await self._compare_inside(of_container["inside"], got, f"{name}.{container}")
        if "created" in wanted and list(dict.fromkeys(seen.created)) != wanted["created"]:
            raise Differs(f"{name}: created {seen.created}, not {wanted['created']}")

    async def _compare_inside(self, wanted: dict[str, Any], container: dict[str, Any], where: str) -> None:
        for command, text in wanted.items():
            if command == "error":
                continue  # the recorded machine's wrapper around runc let nobody in
            got = await self._observer.inside(container, command)
            if isinstance(text, list):
                same_text("\n".join(sorted(text)), "\n".join(sorted(got.splitlines())), f"{where} {command}")
            else:
                same_text(text, got, f"{where} {command}")

    async def _watch(self) -> None:
        """Collects the states of the case's pods."""
        while True:
            path = self._fill(PATHS["Pod"]) + "?watch=true"
            async with self._node.http.stream("GET", path) as stream:
                rest = b""
                async for piece in stream:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if line.strip():
                            self._history.append(history_entry(json.loads(line)))


def pod_meets(pod: dict[str, Any], word: str, argument: str) -> bool:
    """One of the conditions of golden/node/README.md."""
    status = pod.get("status", {})
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    states = [c.get("state") or {} for c in containers]
    if word == "ready":
        return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", []))
    if word == "running":
        return bool(status.get("phase") == "Running")
    if word == "phase":
        return bool(status.get("phase") == argument)
    if word == "reason":
        return bool(status.get("reason") == argument)
    if word == "done":
        return status.get("phase") in ("Succeeded", "Failed")
    if word == "waiting":
        return any((s.get("waiting") or {}).get("reason") == argument for s in states)
    if word == "terminated":
        return any((s.get("terminated") or {}).get("reason") == argument for s in states)
    if word == "restarts":
        return any(c.get("restartCount", 0) >= int(argument) for c in containers)
    mains = [c.get("state") or {} for c in status.get("containerStatuses", [])]
    if word == "started":
        return bool(mains) and all("running" in s for s in mains)
    raise ValueError(f"unknown condition {word!r}")


async def outcome(node: TestNode, name: str) -> str:
    """Empty for the same, else the first difference."""
    try:
        await Player(node, name).play()
    except Differs as error:
        return str(error)
    except (ConnectionError, TimeoutError, RuntimeFailure) as error:
        return f"no answer: {error!r}"
    return ""


async def outcomes(names: Iterable[str], at_once: int = AT_ONCE, show: bool = False) -> dict[str, str]:
    """By name, played some at once on one node."""
    gate = asyncio.Semaphore(at_once)
    result: dict[str, str] = {}
    async with running_node() as node:
        await ensure_images(node.runtime)

        async def play(name: str) -> None:
            async with gate:
                result[name] = await outcome(node, name)
                if show:
                    print(f"{'differs' if result[name] else 'same   '} {name} {result[name][:400]}", flush=True)

        await asyncio.gather(*(play(name) for name in names))
    return result


async def main(names: list[str]) -> int:
    result = await outcomes(names or list(cases()), show=True)
    same = sum(not difference for difference in result.values())
    changed = sum(name in DIFFERENCES and not difference for name, difference in result.items())
    print(f"{same} of {len(result)} the same, {changed} of them but for what differences.py says to be otherwise today")
    return 0 if same == len(result) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
