"""Clients that write down what they ask and are told, through any of the API servers; and watchers that go on with another one."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pybernetes.client.http import Answer, ConnectFailed, HTTPClient

from .cluster import Cluster
from .events import Told, Watched
from .history import Kind, Listing, Operation, Outcome
from .processes import TOKEN, Process, trusting

NAMESPACE = "bad-days"
PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
KEYS = 6  # that all clients fight for
GENERATION = 300  # operations on these keys; then come other ones, so that each has a history of its own length
PAUSE_SECONDS = 0.05  # of a client between two requests, at the most
REQUEST_SECONDS = 20.0
WATCH_SECONDS = (1, 1, 2, 3, 20)  # after which a watch is begun anew, maybe with a server that is behind
HEADERS = (("Authorization", f"Bearer {TOKEN}"), ("Content-Type", "application/json"))
WEIGHTS = {Kind.GET: 30, Kind.CREATE: 20, Kind.UPDATE: 35, Kind.DELETE: 8, None: 6}  # None: a list
UNANSWERED = (ConnectionError, TimeoutError, OSError)


class Recorder:
    """All that was seen, and the clients' common state."""

    def __init__(self, cluster: Cluster, seed: int, headers: Sequence[tuple[str, str]] = HEADERS) -> None:
        context = trusting(cluster.folder)
        self.headers = headers
        self.https = [HTTPClient(server.url, context) for server in cluster.servers]
        self.servers: Sequence[Process] = cluster.servers
        self.seed = seed
        self.operations: list[Operation] = []
        self.listings: list[Listing] = []
        self.watched: list[Watched] = []
        self.statuses: Counter[str] = Counter()  # of answers, and why there was none
        self.surprises: list[str] = []  # answers that no server may give
        self.revisions: dict[str, int] = {}  # that were told of each key last
        self.ended = False
        self._asked = 0

    def prefix(self) -> str:
        """Of the keys that are fought for now."""
        self._asked += 1
        return f"g{self._asked // GENERATION:05}-"

    async def close(self) -> None:
        """Of the connections."""
        for http in self.https:
            await http.close()


def now() -> float:
    """The clock of all histories."""
    return asyncio.get_running_loop().time()


class Client:
    """One after the other, at random."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder, self._number = recorder, number
        self._dice = random.Random(f"{recorder.seed}.client.{number}")
        self._count = 0

    async def run(self) -> None:
        """Until the recorder says that it is over."""
        while not self._recorder.ended:
            prefix, dice = self._recorder.prefix(), self._dice
            [kind] = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
            if kind is None:
                await self._list(prefix)
            else:
                await self._operate(kind, f"{prefix}{dice.randrange(KEYS)}")
            await asyncio.sleep(dice.uniform(0, PAUSE_SECONDS))

    async def _send(self, method: str, path: str, body: Any = None) -> Answer | None:
        """None: no answer came. ConnectFailed: and nothing was sent."""
        http, statuses = self._dice.choice(self._recorder.https), self._recorder.statuses
        data = b"" if body is None else json.dumps(body).encode()
        try:
            answer = await http.request(method, path, self._recorder.headers, data, timeout=REQUEST_SECONDS)
        except ConnectFailed:
            statuses["no connection"] += 1
            raise
        except UNANSWERED as error:
            statuses["too late" if isinstance(error, TimeoutError) else "cut off"] += 1
            return None
        statuses[str(answer.status)] += 1
        return answer

    async def _operate(self, kind: Kind, key: str) -> None:
        recorder, dice = self._recorder, self._dice
        self._count += 1
        value = f"{self._number}.{self._count}" if kind in (Kind.CREATE, Kind.UPDATE) else ""
        expected = recorder.revisions.get(key, 0) if kind in (Kind.UPDATE, Kind.DELETE) and dice.random() < 0.8 else 0
        labels = {"generation": key.partition("-")[0]}
        meta: dict[str, Any] = {
            "name": key,
            "labels": labels,
            **({"resourceVersion": str(expected)} if expected else {}),
        }
        made = {"metadata": meta, "data": {"v": value}}
        begun = now()
        try:
            match kind:
                case Kind.GET:
                    answer = await self._send("GET", f"{PATH}/{key}")
                case Kind.CREATE:
                    answer = await self._send("POST", PATH, made)
                case Kind.UPDATE:
                    answer = await self._send("PUT", f"{PATH}/{key}", made)
                case Kind.DELETE:
                    only = {"preconditions": {"resourceVersion": str(expected)}} if expected else {}
                    answer = await self._send("DELETE", f"{PATH}/{key}", only)
        except ConnectFailed:
            return
        ended = now()
        outcome = self._outcome(kind, answer)
        if outcome is None or (outcome is Outcome.UNKNOWN and kind is Kind.GET):
            return
        if outcome is Outcome.CONFLICT and not expected:
            return  # others were faster each time: nothing was done, and there is no state of which that says something
        revision = 0
        if outcome is Outcome.DONE and kind is not Kind.DELETE:
            assert answer is not None
            obj = json.loads(answer.body)
            revision, read = int(obj["metadata"]["resourceVersion"]), obj["data"]["v"]
            if kind is Kind.GET:
                value = read
            elif read != value:
                recorder.surprises.append(f"{kind} of {value} is answered with {read}")
            recorder.revisions[key] = revision
        recorder.operations.append(Operation(self._number, kind, key, begun, ended, outcome, value, revision, expected))

    def _outcome(self, kind: Kind, answer: Answer | None) -> Outcome | None:
        """None: nothing was done, for certain, and nothing learned."""
        if answer is None or answer.status >= 500:
            return Outcome.UNKNOWN
        if answer.status in (200, 201):
            return Outcome.DONE
        if answer.status == 404:
            return Outcome.NOT_FOUND
        if answer.status == 409:
            return Outcome.EXISTS if kind is Kind.CREATE else Outcome.CONFLICT
        if answer.status != 429:
            self._recorder.surprises.append(f"{kind}: {answer.status} {answer.body[:300]!r}")
        return None

    async def _list(self, prefix: str) -> None:
        begun = now()
        try:
            answer = await self._send("GET", f"{PATH}?labelSelector=generation%3D{prefix[:-1]}")
        except ConnectFailed:
            return
        if answer is not None and answer.status == 200:
            self._recorder.listings.append(listing(self._number, prefix, begun, answer))


def listing(client: int, prefix: str, begun: float, answer: Answer) -> Listing:
    """What a list had."""
    found = json.loads(answer.body)
    items = {one["metadata"]["name"]: int(one["metadata"]["resourceVersion"]) for one in found["items"]}
    return Listing(client, prefix, begun, now(), int(found["metadata"]["resourceVersion"]), items)


class Watcher:
    """As a reflector: lists, watches from there with any server, lists anew where the server says 410."""

    def __init__(self, recorder: Recorder, number: int) -> None:
        self._recorder, self._number = recorder, number
        self._dice = random.Random(f"{recorder.seed}.watcher.{number}")

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                watched = await self._listed()
                while not await self._follow(watched):
                    await asyncio.sleep(self._dice.choice((0, 0.1)))
            except UNANSWERED:
                await asyncio.sleep(0.1)

    async def _listed(self) -> Watched:
        begun, http = now(), self._dice.choice(self._recorder.https)
        answer = await http.request("GET", PATH, self._recorder.headers, timeout=REQUEST_SECONDS)
        if answer.status != 200:
            raise ConnectionError(answer.status)
        found = listing(-self._number, "", begun, answer)
        self._recorder.listings.append(found)
        watched = Watched(self._number, found.revision)
        self._recorder.watched.append(watched)
        return watched

    async def _follow(self, watched: Watched) -> bool:
        """One watch; whether the events after the last one are gone."""
        http = self._dice.choice(self._recorder.https)
        seconds = self._dice.choice(WATCH_SECONDS)
        path = f"{PATH}?watch=1&resourceVersion={watched.last}&timeoutSeconds={seconds}"
        try:
            async with (
                asyncio.timeout(seconds + REQUEST_SECONDS),
                http.stream("GET", path, self._recorder.headers) as stream,
            ):
                if stream.status != 200:
                    return stream.status == 410
                rest = b""
                async for piece in stream:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        if not self._tell(watched, json.loads(line)):
                            return True
        except UNANSWERED:
            pass
        return False

    def _tell(self, watched: Watched, event: Any) -> bool:
        """False: it is an error, 410."""
        if event["type"] == "ERROR":
            if event["object"]["code"] != 410:
                self._recorder.surprises.append(f"a watch ended with {event['object']}")
            return False
        metadata = event["object"]["metadata"]
        told = Told(int(metadata["resourceVersion"]), metadata["name"], event["type"] == "DELETED")
        watched.events.append(told)
        return True
