"""Plays what a real API server answered (tests/golden) against one in process, over HTTP.

python -m tests.api.golden kinds/core semantics     # same / differs, with the first difference of each case
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from pybernetes.apiserver.admission.chain import DEFAULT
from pybernetes.apiserver.authentication import keys
from pybernetes.apiserver.authentication.serviceaccount import TokenOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import Answer, HTTPClient
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.wire.http import Request

from .differences import DIFFERENCES

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MEDIA = {
    "json": "application/json",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "jsonpatch": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
    "table": "application/json;as=Table;v=v1;g=meta.k8s.io",
    "partial": "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "partiallist": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
}
ANYTHING = {"<uid>", "<rv>", "<time>", "<ip>", "<port>", "<n>", "<age>", "<continue>", "<remainingItemCount>"}
UNTIL_SECONDS = 5.0
SETTLE_SECONDS = 1.0  # after it holds, for the rest of the answer
PLUGINS = (*DEFAULT, "NodeRestriction")
UNORDERED = ("managedFields", "causes")
_BARE = re.compile(r"<[A-Za-z]+>")


class Differs(Exception):
    """The first difference of a case."""


class Administrator:
    """Everyone is the administrator."""

    def authenticate(self, request: Request) -> User:
        return User("golden", ("system:masters", "system:authenticated"))


def tokens() -> TokenOptions:
    """A key of the run's own for service-account tokens."""
    signer = keys.signer_with(ec.generate_private_key(ec.SECP256R1()))
    return TokenOptions(issuers=("https://kubernetes.default.svc",), verifiers=(signer.public,), signer=signer)


def options() -> Options:
    """As real clusters have them: Node and RBAC decide, service accounts have tokens."""
    return Options(
        authenticators=[Administrator()],
        authorization_modes=("Node", "RBAC"),
        service_accounts=tokens(),
        enable_admission_plugins=PLUGINS,
    )


@asynccontextmanager
async def server() -> AsyncIterator[HTTPClient]:
    """A client of a fresh API server."""
    store = await SQLiteStore.open(":memory:")
    running = APIServer(store, options())
    await running.start()
    client = HTTPClient(f"http://127.0.0.1:{running.port}")
    try:
        yield client
    finally:
        await client.close()
        await running.stop(0)
        await store.close()


class Player:
    """One case."""

    def __init__(self, client: HTTPClient, case: dict[str, Any], patience: float, managed_fields: bool) -> None:
        self._client, self._case, self._patience = client, case, patience
        word = "".join(random.choice(string.ascii_lowercase) for _ in range(8))
        self._saved = {"ns": f"g-{word}", "run": word}
        self._ignored = [self._path(p) for p in case.get("ignore") or ()]
        # Outside apply the recordings show 1.20's schemas: no resetFields, no entries for subresources, fewer atomic maps.
        self._managed_fields = managed_fields

    @staticmethod
    def _path(text: str) -> list[str]:
        """`a.b[0]`, `a[key.with/dots]`: what stands in brackets is one part."""
        return [bracketed or plain for bracketed, plain in re.findall(r"\[([^\]]*)\]|([^.\[\]]+)", text)]

    async def play(self) -> None:
        """Raises Differs."""
        body = json.dumps({"metadata": {"name": self._saved["ns"]}}).encode()
        await self._send("POST", "/api/v1/namespaces", {}, body)
        account = json.dumps({"metadata": {"name": "default"}}).encode()
        await self._send("POST", f"/api/v1/namespaces/{self._saved['ns']}/serviceaccounts", {}, account)
        try:
            for number, step in enumerate(self._case["steps"]):
                try:
                    await self._step(step)
                except Differs as error:
                    raise Differs(
                        f"step {number + 1} ({step.get('do') or step.get('watch') or 'sleep'}): {error}"
                    ) from None
        finally:
            for step in self._case.get("after") or ():
                if "do" in step:
                    await self._do(step)

    async def _step(self, step: dict[str, Any]) -> None:
        if "sleep" in step:
            await asyncio.sleep(min(step["sleep"], 1.0))
        elif "watch" in step:
            await self._watch(step)
        else:
            await self._request(step)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"\{(\w+)\}", lambda m: str(self._saved.get(m[1], m[0])), value)
        if isinstance(value, list):
            return [self._fill(v) for v in value]
        return {self._fill(k): self._fill(v) for k, v in value.items()} if isinstance(value, dict) else value

    async def _send(self, method: str, target: str, headers: dict[str, Any], body: bytes = b"") -> Answer:
        sent = [("User-Agent", "golden"), ("Content-Type", "application/json"), ("Accept", "application/json")]
        merged = [(k, v) for k, v in sent if k not in headers]
        for key, value in headers.items():
            merged.extend((key, v) for v in (value if isinstance(value, list) else [value]))
        return await self._client.request(method, target.replace(" ", "%20"), merged, body, timeout=20)

    async def _do(self, step: dict[str, Any]) -> Answer:
        method, target = self._fill(step["do"]).split(" ", 1)
        headers: dict[str, Any] = {}
        if "type" in step:
            headers["Content-Type"] = MEDIA.get(step["type"], step["type"])
        if "accept" in step:
            headers["Accept"] = MEDIA.get(step["accept"], step["accept"])
        if "as" in step:
            who = self._fill(step["as"])
            headers["Impersonate-User"] = who["user"]
            headers["Impersonate-Group"] = who.get("groups") or []
        body = b""
        if "raw" in step:
            body = self._fill(step["raw"]).encode()
        elif "body" in step:
            body = json.dumps(self._fill(step["body"]), default=str).encode()
        return await self._send(method, target, headers, body)

    async def _request(self, step: dict[str, Any]) -> None:
        until = step.get("until")
        loop = asyncio.get_running_loop()
        end = loop.time() + min(step.get("within", self._patience), self._patience)
        while True:
            answer = await self._do(step)
            got = _decoded(answer)
            if until is None or self._holds(until, answer.status, got):
                break
            if loop.time() > end:
                raise Differs(f"never: {until}")
            await asyncio.sleep(0.05)
        settled = loop.time() + SETTLE_SECONDS
        while True:
            try:
                self._compare(step, answer, got)
                return
            except Differs:
                # Controllers write more than once: what is waited for may hold a moment before the rest does.
                if until is None or loop.time() > settled:
                    raise
            await asyncio.sleep(0.05)
            answer = await self._do(step)
            got = _decoded(answer)

    def _compare(self, step: dict[str, Any], answer: Answer, got: Any) -> None:
        expect = self._fill(step.get("expect") or {})
        if "code" in expect and answer.status != expect["code"]:
            text = got.get("message") if isinstance(got, dict) else got
            raise Differs(f"code {answer.status}, not {expect['code']}: {text!r}")
        for name, path in (step.get("save") or {}).items():
            self._saved[name] = _dig(got, self._path(path))
        if not step.get("any") and "body" in expect:
            self._same(self._fill(step["expect"]["body"]), got, [])  # filled anew: it may tell of what was just saved
        for path in step.get("absent") or ():
            if _dig(got, self._path(path)) is not None:
                raise Differs(f"{path} is there")

    def _holds(self, until: dict[str, Any], code: int, got: Any) -> bool:
        if "code" in until:
            return bool(code == until["code"])
        value = _dig(got, self._path(until["path"]))
        return bool(value == self._fill(until["is"])) if "is" in until else value is not None

    async def _watch(self, step: dict[str, Any]) -> None:
        expect = self._fill(step.get("expect") or {})
        wanted = expect.get("body")
        count = step.get("count") or (len(wanted) if isinstance(wanted, list) else 1)
        accept = MEDIA.get(step.get("accept", "json"), step.get("accept", ""))
        target = self._fill(step["watch"])
        target += ("&" if "?" in target else "?") + "watch=true"
        lines: list[bytes] = []
        try:
            async with asyncio.timeout(min(step.get("within", 3), 3)):
                headers = [("User-Agent", "golden"), ("Accept", accept)]
                async with self._client.stream("GET", target.replace(" ", "%20"), headers) as stream:
                    if "code" in expect and stream.status != expect["code"]:
                        raise Differs(f"code {stream.status}, not {expect['code']}")
                    if stream.status != 200:
                        self._same(wanted, json.loads(await stream.read()), [])
                        return
                    rest = b""
                    async for piece in stream:
                        *whole, rest = (rest + piece).split(b"\n")
                        lines += [line for line in whole if line]
                        if len(lines) >= count:
                            break
        except TimeoutError:
            pass  # as many events as there were
        events = [json.loads(line) for line in lines]
        if isinstance(wanted, list):
            if len(events) < len(wanted):
                raise Differs(f"{len(events)} events, not {len(wanted)}")
            self._same(wanted, events[: len(wanted)], [])
        for name, path in (step.get("save") or {}).items():
            self._saved[name] = _dig(events, self._path(path))

    def _same(self, want: Any, got: Any, path: list[str]) -> None:
        if not path and isinstance(want, str) and isinstance(got, dict):
            want = yaml.safe_load(want)  # YAML was recorded as text
        plain = [part for part in path if not part.isdigit()]  # items of a list are meant all alike
        if any(_matches(ignored, path) or _matches(ignored, plain) for ignored in self._ignored):
            return
        place = ".".join(path)
        if isinstance(want, dict):
            if not isinstance(got, dict):
                raise Differs(f"{place}: {got!r}, not an object")
            for key, value in want.items():
                if key == "singularName" or (key == "managedFields" and not self._managed_fields):
                    continue  # built-in resources have a singular name since 1.27
                if value is None and got.get(key) is None:
                    continue
                if key not in got and not any(_matches(i, [*path, key]) for i in self._ignored):
                    raise Differs(f"{place}.{key} is missing ({value!r})")
                self._same(value, got.get(key), [*path, key])
        elif isinstance(want, list):
            if not isinstance(got, list) or len(got) != len(want):
                raise Differs(f"{place}: {got!r}, not {want!r}")
            if path and path[-1] in UNORDERED:
                want, got = (sorted(x, key=lambda i: json.dumps(i, sort_keys=True)) for x in (want, got))
            for index, (w, g) in enumerate(zip(want, got, strict=True)):
                self._same(w, g, [*path, str(index)])
        elif not self._equal(want, got) and path[-1:] != ["message"]:
            raise Differs(f"{place}: {got!r}, not {want!r}")

    @staticmethod
    def _equal(want: Any, got: Any) -> bool:
        if want == got:
            return True
        if isinstance(want, str) and _BARE.search(want):
            pattern = "".join(".+" if _BARE.fullmatch(p) else re.escape(p) for p in re.split(r"(<[A-Za-z]+>)", want))
            return got is not None and re.fullmatch(pattern, str(got), re.S) is not None
        return False


def _matches(ignored: list[str], path: list[str]) -> bool:
    return (len(path) >= len(ignored) and all(i in ("*", p) for i, p in zip(ignored, path, strict=False))) or (
        len(ignored) <= len(path) and path[-len(ignored) :] == ignored
    )


def _decoded(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        text = answer.body.decode(errors="replace")
        return yaml.safe_load(text) if "yaml" in answer.headers.get("content-type", "") else text


def _dig(value: Any, path: list[str]) -> Any:
    for part in path:
        if isinstance(value, list):
            value = value[int(part)] if part.lstrip("-").isdigit() and -len(value) <= int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def cases(*folders: str) -> Iterator[str]:
    """Names of cases: kinds/core/pod/create."""
    for folder in folders:
        for path in sorted((GOLDEN / folder).rglob("*.yaml")):
            yield str(path.relative_to(GOLDEN).with_suffix(""))


async def outcome(
    client: HTTPClient, name: str, patience: float = UNTIL_SECONDS, renamed: Mapping[str, str] | None = None
) -> str:
    """Empty for the same, else the first difference; `patience`: seconds that an `until` step may take.

    `renamed`: texts of the case that stand for others today (group-versions that are served by default no longer).
    """
    if name in DIFFERENCES:
        return ""
    text = (GOLDEN / f"{name}.yaml").read_text()
    for former, today in (renamed or {}).items():
        text = text.replace(former, today)
    case = yaml.load(text, Loader=yaml.CSafeLoader)
    try:
        await Player(client, case, patience, name.startswith("semantics/apply/")).play()
    except Differs as error:
        return str(error)
    except (ConnectionError, TimeoutError) as error:
        return f"no answer: {error!r}"
    return ""


async def main(folders: list[str]) -> None:
    """Prints each case and totals by folder."""
    totals: dict[str, list[int]] = {}
    async with server() as client:
        for name in cases(*folders):
            difference = await outcome(client, name, patience=1.0)
            print(f"{'same   ' if not difference else 'differs'} {name} {difference[:300]}")
            total = totals.setdefault("/".join(name.split("/")[:2]), [0, 0])
            total[0] += not difference
            total[1] += 1
    for folder, (same, count) in totals.items():
        print(f"{folder}: {same} of {count}")
    print(f"all: {sum(t[0] for t in totals.values())} of {sum(t[1] for t in totals.values())}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:] or ["kinds", "semantics"]))
