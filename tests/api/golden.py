"""Plays what a real API server answered (tests/golden) against one in process, over HTTP.

python -m tests.api.golden kinds/core semantics     # exact / same / differs, with the first difference of each case
python -m tests.api.golden --exact kinds/core       # the first text of each case that is not the recorded one
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import string
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import ec

from pybernetes.apiserver.admission.chain import DEFAULT
from pybernetes.apiserver.authentication import keys
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.serviceaccount import TokenOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.client.http import Answer, HTTPClient
from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Store
from pybernetes.wire.http import Request

from ..recorded import Change, Difference, amended, dig, parts
from .compare import Comparison, Mismatch
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
UNTIL_SECONDS = 60.0  # a limit of failure alone: what comes true ends the wait
SETTLE_SECONDS = 60.0  # after it holds, for the rest of the answer
WATCH_SECONDS = 60.0  # for as many events as are expected
PLUGINS = (*DEFAULT, "NodeRestriction")


# Managers of fields are not compared: controllers write at other moments and under other names than those of 1.20.
CONTROL = "control/"
# Cases in which a controller acts: they are played against a server that has them.
WITH_CONTROLLERS = frozenset(
    {
        "semantics/admission/quota-compute",
        "semantics/admission/quota-dry-run",
        "semantics/admission/quota-not-best-effort",
        "semantics/admission/quota-scopes-immutable",
        "semantics/admission/quota-several",
        "semantics/admission/quota-storage",
        "semantics/auth/aggregated",
        "semantics/lifecycle/delete-background",
        "semantics/lifecycle/delete-foreground",
        "semantics/lifecycle/delete-orphan-dependents",
        "semantics/lifecycle/namespace-delete-waits",
        "semantics/lifecycle/namespace-terminating",
        "semantics/subresources/csr-signed",
        "semantics/subresources/scale-deployment",
        "semantics/subresources/scale-replicaset",
        "semantics/subresources/scale-replicationcontroller",
        "semantics/subresources/scale-statefulset",
    }
)


class Differs(Exception):
    """The first difference of a case."""


@dataclass(frozen=True)
class Administrator:
    """Everyone is the administrator."""

    name: str = "golden"

    async def authenticate(self, request: Request) -> User:
        return User(self.name, ("system:masters", "system:authenticated"))


def tokens() -> TokenOptions:
    """A key of the run's own for service-account tokens."""
    signer = keys.signer_with(ec.generate_private_key(ec.SECP256R1()))
    return TokenOptions(issuers=("https://kubernetes.default.svc",), verifiers=(signer.public,), signer=signer)


def options(administrator: str = "golden") -> Options:
    """As real clusters have them: Node and RBAC decide, service accounts have tokens."""
    return Options(
        authentication=AuthenticationOptions([Administrator(administrator)], service_accounts=tokens()),
        authorization_modes=("Node", "RBAC"),
        enable_admission_plugins=PLUGINS,
    )


@asynccontextmanager
async def server(
    over: Store | None = None, server_options: Callable[[], Options] = lambda: options()
) -> AsyncIterator[HTTPClient]:
    """A client of a fresh API server, on a store that is closed with it."""
    store = over or await SQLiteStore.open(":memory:")
    running = APIServer(store, server_options())
    await running.start()
    client = HTTPClient(f"http://127.0.0.1:{running.port}")
    try:
        yield client
    finally:
        await client.close()
        await running.stop(0)
        await store.close()


@dataclass(frozen=True)
class Outcome:
    """Of one case: its first difference ("": the *same*), its first text that is not the recorded one ("": *exact*)."""

    difference: str = ""
    inexact: str = ""


class Player:
    """One case. After `play`, `inexact` is its first text that is not the recorded one."""

    def __init__(
        self,
        client: HTTPClient,
        case: dict[str, Any],
        patience: float,
        differences: Sequence[Difference] = (),
        managed_fields: bool = True,
        made: Sequence[str] = (),
    ) -> None:
        """`made`: paths of what must be there before the first step."""
        self._made = made
        self._client, self._case, self._patience = client, case, patience
        word = "".join(random.choice(string.ascii_lowercase) for _ in range(8))
        self._saved = {"ns": f"g-{word}", "run": word}
        self._ignored = [parts(p) for p in case.get("ignore") or ()]
        self._managed_fields = managed_fields
        self._changes = [change for difference in differences for change in difference.changes]
        self._unsaid = [path for difference in differences for path in difference.unsaid]
        self._needed: set[Change | str] = set()
        self._number = 0
        self.inexact = ""

    async def play(self) -> None:
        """Raises Differs, also for a known difference that has gone."""
        body = json.dumps({"metadata": {"name": self._saved["ns"]}}).encode()
        await self._send("POST", "/api/v1/namespaces", {}, body)
        account = json.dumps({"metadata": {"name": "default"}}).encode()
        await self._send("POST", f"/api/v1/namespaces/{self._saved['ns']}/serviceaccounts", {}, account)
        await self._prepared()
        try:
            for number, step in enumerate(self._case["steps"], 1):
                self._number = number
                try:
                    await self._step(step)
                except Differs as error:
                    raise Differs(f"{self._place(step)}: {error}") from None
        finally:
            for step in self._case.get("after") or ():
                if "do" in step:
                    await self._do(step)
        unneeded = [one for one in (*self._changes, *self._unsaid) if one not in self._needed]
        if unneeded:
            raise Differs(f"answered as recorded, take it out of differences.py: {unneeded[0]}")

    async def _prepared(self) -> None:
        """Until what controllers make in each namespace is there."""
        for path in self._made:
            async with asyncio.timeout(UNTIL_SECONDS):
                while (await self._send("GET", self._fill(path), {})).status != 200:
                    await asyncio.sleep(0.02)

    def _place(self, step: dict[str, Any]) -> str:
        return f"step {self._number} ({step.get('do') or step.get('watch') or 'sleep'})"

    async def _step(self, step: dict[str, Any]) -> None:
        if "sleep" in step:
            await asyncio.sleep(min(step["sleep"], 1.0))
        elif "watch" in step:
            await self._watch(step)
        else:
            await self._request(step)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            whole = re.fullmatch(r"\{(\w+)\}", value)
            if whole and not isinstance(self._saved.get(whole[1], ""), str):
                return self._saved[whole[1]]
            return re.sub(r"\{(\w+)\}", lambda m: str(self._saved.get(m[1], m[0])), value)
        if isinstance(value, list):
            return [self._fill(v) for v in value]
        return {self._fill(k): self._fill(v) for k, v in value.items()} if isinstance(value, dict) else value

    async def _send(self, method: str, target: str, headers: dict[str, Any], body: bytes = b"") -> Answer:
        sent = [("User-Agent", "golden"), ("Content-Type", "application/json"), ("Accept", "application/json")]
        merged = [(k, v) for k, v in sent if k not in headers]
        for key, value in headers.items():
            merged.extend((key, v) for v in (value if isinstance(value, list) else [value]))
        return await self._client.request(method, target.replace(" ", "%20"), merged, body, timeout=60)

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
        end = loop.time() + self._patience  # not the recorded `within`: that was another machine's
        while True:
            answer = await self._do(step)
            got = _decoded(answer)
            if until is None or self._holds(until, answer.status, got):
                break
            if loop.time() > end:
                raise Differs(f"never: {until}")
            await asyncio.sleep(0.05)
        settled = loop.time() + min(SETTLE_SECONDS, self._patience)  # what is known to differ has little
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
        code = self._expected(step).get("code", answer.status)
        if answer.status != code:
            text = got.get("message") if isinstance(got, dict) else got
            raise Differs(f"code {answer.status}, not {code}: {text!r}")
        for name, path in (step.get("save") or {}).items():
            self._saved[name] = dig(got, parts(path))
        if not step.get("any"):
            self._same(step, {"code": answer.status, "body": got})
        for name in step.get("headers") or ():
            wanted = ", ".join(self._expected(step)["headers"][name])
            if (sent := answer.headers.get(name.lower(), "")) != wanted:
                raise Differs(f"header {name}: {sent!r}, not {wanted!r}")
        for path in step.get("absent") or ():
            if dig(got, parts(path)) is not None:
                raise Differs(f"{path} is there")

    def _expected(self, step: dict[str, Any], but: Change | None = None) -> dict[str, Any]:
        """What upstream answers to this step today, but for one change; it may tell of what was just saved."""
        changes = [change for change in self._changes if change.step == self._number and change != but]
        return dict(self._fill(amended(step.get("expect") or {}, changes)))

    def _same(self, step: dict[str, Any], got: dict[str, Any]) -> None:
        """Raises Differs. Notes texts that are not exact, and which known differences are needed."""
        found = self._mismatches(self._expected(step), got)
        for mismatch in found:
            if not mismatch.is_message:
                raise Differs(mismatch.text)
        for change in self._changes:
            if change.step == self._number and self._mismatches(self._expected(step, but=change), got):
                self._needed.add(change)
        for path in self._unsaid:
            if any(not mismatch.is_message for mismatch in self._mismatches(self._expected(step), got, but=path)):
                self._needed.add(path)
        if found and not self.inexact:
            self.inexact = f"{self._place(step)}: {found[0].text}"

    def _mismatches(self, want: dict[str, Any], got: dict[str, Any], but: str = "") -> list[Mismatch]:
        if want.get("code", got["code"]) != got["code"]:
            return [Mismatch(f"code {got['code']}, not {want['code']}")]
        unsaid = [parts(path) for path in self._unsaid if path != but]
        comparison = Comparison([*self._ignored, *unsaid], self._managed_fields)
        return list(comparison.mismatches(want["body"], got["body"])) if "body" in want else []

    def _holds(self, until: dict[str, Any], code: int, got: Any) -> bool:
        if "code" in until:
            return bool(code == until["code"])
        value = dig(got, parts(until["path"]))
        return bool(value == self._fill(until["is"])) if "is" in until else value is not None

    async def _watch(self, step: dict[str, Any]) -> None:
        expect = self._expected(step)
        wanted = expect.get("body")
        count = step.get("count") or (len(wanted) if isinstance(wanted, list) else 1)
        accept = MEDIA.get(step.get("accept", "json"), step.get("accept", ""))
        target = self._fill(step["watch"])
        target += ("&" if "?" in target else "?") + "watch=true"
        lines: list[bytes] = []
        try:
            async with asyncio.timeout(min(step.get("within", WATCH_SECONDS), WATCH_SECONDS)):
                headers = [("User-Agent", "golden"), ("Accept", accept)]
                async with self._client.stream("GET", target.replace(" ", "%20"), headers) as stream:
                    if "code" in expect and stream.status != expect["code"]:
                        raise Differs(f"code {stream.status}, not {expect['code']}")
                    if stream.status != 200:
                        self._same(step, {"code": stream.status, "body": json.loads(await stream.read())})
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
            self._same(step, {"code": 200, "body": events[: len(wanted)]})
        for name, path in (step.get("save") or {}).items():
            self._saved[name] = dig(events, parts(path))


def _decoded(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        text = answer.body.decode(errors="replace")
        return yaml.safe_load(text) if "yaml" in answer.headers.get("content-type", "") else text


def cases(*folders: str) -> Iterator[str]:
    """Names of cases (kinds/core/pod/create) in folders; a case may be named itself."""
    for folder in folders:
        if (GOLDEN / f"{folder}.yaml").exists():
            yield folder
        for path in sorted((GOLDEN / folder).rglob("*.yaml")):
            yield str(path.relative_to(GOLDEN).with_suffix(""))


async def outcome(
    client: HTTPClient,
    name: str,
    patience: float = UNTIL_SECONDS,
    renamed: Mapping[str, str] | None = None,
    made: Sequence[str] = (),
) -> Outcome:
    """Plays a case; `patience`: seconds that an `until` step may take.

    `renamed`: texts of the case that stand for others today (group-versions that are served by default no longer).
    """
    text = (GOLDEN / f"{name}.yaml").read_text()
    for former, today in (renamed or {}).items():
        text = text.replace(former, today)
    case = yaml.load(text, Loader=yaml.CSafeLoader)
    player = Player(client, case, patience, DIFFERENCES.get(name, ()), not name.startswith(CONTROL), made)
    try:
        await player.play()
    except Differs as error:
        return Outcome(difference=str(error))
    except (ConnectionError, TimeoutError) as error:
        return Outcome(difference=f"no answer: {error!r}")
    return Outcome(inexact=player.inexact)


def totals(outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """A line for each folder, and one for all: how many cases were played, are the same, and exact."""
    folders: dict[str, list[Outcome]] = {}
    for name, result in outcomes.items():
        folders.setdefault("/".join(name.split("/")[:2]), []).append(result)
    for folder, results in (*sorted(folders.items()), ("all", list(outcomes.values()))):
        same = [result for result in results if not result.difference]
        exact = sum(not result.inexact for result in same)
        yield f"{folder}: {len(same)} of {len(results)} the same, {exact} exact"


def line(name: str, result: Outcome) -> str:
    """Of one case: its grade, and what keeps it from a better one."""
    grade = "differs" if result.difference else "same   " if result.inexact else "exact  "
    return f"{grade} {name} {result.difference[:300]}".rstrip()


async def main(arguments: list[str]) -> None:
    """Prints each case and totals by folder; with --exact the first text of each case that is not the recorded one."""
    exact = "--exact" in arguments
    folders = [argument for argument in arguments if argument != "--exact"] or ["kinds", "semantics"]
    outcomes: dict[str, Outcome] = {}
    async with server() as client:
        for name in cases(*folders):
            if name in WITH_CONTROLLERS:
                print(f"not played: {name} wants controllers (python -m tests.api.control {name})")
                continue
            outcomes[name] = await outcome(client, name, patience=1.0)
            if not exact:
                print(line(name, outcomes[name]))
            elif outcomes[name].inexact:
                print(f"{name} {outcomes[name].inexact}")
    print(*totals(outcomes), sep="\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
