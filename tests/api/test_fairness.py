"""Priority and fairness of a real server: who waits, who is refused, and what it says of that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from pybernetes.api.wellknown import ALL_AUTHENTICATED, SYSTEM_PRIVILEGED_GROUP
from pybernetes.apiserver.authentication.options import AuthenticationOptions
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.filters.maxinflight import Limits
from pybernetes.apiserver.server import APIServer, Options
from pybernetes.store.memory import MemoryStore
from pybernetes.wire.http import Request

Object = dict[str, Any]
GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
LEVELS, SCHEMAS = f"{GROUP}/prioritylevelconfigurations", f"{GROUP}/flowschemas"
MAPS = "/api/v1/namespaces/default/configmaps"
DEBUG = "/debug/api_priority_and_fairness"
TOO_MANY = "Too many requests, please try again later.\n"
SECONDS = 60.0


class ByHeader:
    """Who asks is who says so."""

    async def authenticate(self, request: Request) -> User | None:
        name = request.header("x-user")
        groups = (SYSTEM_PRIVILEGED_GROUP,) if name == "admin" else ()
        return User(name, (*groups, ALL_AUTHENTICATED)) if name else None


@dataclass(frozen=True)
class Answered:
    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Each request on a connection of its own."""

    port: int

    async def begin(
        self, user: str, method: str, path: str, headers: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: a\r\nX-User: {user}\r\n{headers}\r\n".encode())
        return reader, writer

    async def ask(self, user: str, method: str, path: str, body: Any = None) -> Answered:
        data = b"" if body is None else json.dumps(body).encode()
        length = f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n" if data else ""
        reader, writer = await self.begin(user, method, path, f"{length}Connection: close\r\n")
        writer.write(data)
        return await answer_of(reader, writer)

    async def get(self, user: str, path: str) -> Answered:
        return await self.ask(user, "GET", path)


async def answer_of(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answered:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"])) if "content-length" in headers else b""
        return Answered(int(lines[0].split()[1]), headers, body.decode())
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def server(*, fair: bool = True) -> AsyncIterator[Client]:
    """With 240 seats."""
    authentication = AuthenticationOptions(requests=(ByHeader(),))
    options = Options(authentication=authentication, limits=Limits(160, 80), priority_and_fairness=fair)
    running = APIServer(MemoryStore(), options)
    await running.start()
    try:
        yield Client(running.port)
    finally:
        await running.stop()


def run(test: Callable[[Client], Awaitable[None]], *, fair: bool = True) -> None:
    async def main() -> None:
        async with server(fair=fair) as client:
            await asyncio.wait_for(test(client), 180)

    asyncio.run(main())


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(SECONDS):
        while not await holds():
            await asyncio.sleep(0.01)


def level(name: str, response: Object) -> Object:
    """One seat of the 240, none lent or borrowed."""
    limited = {"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": response}
    return {"metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited}}


def queuing(length: int) -> Object:
    return {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": length}}


def schema(name: str, of: str, *users: str, precedence: int = 50) -> Object:
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    subjects = [{"kind": "User", "user": {"name": user}} for user in users]
    spec = {
        "priorityLevelConfiguration": {"name": of},
        "matchingPrecedence": precedence,
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": subjects, "resourceRules": [rule]}],
    }
    return {"metadata": {"name": name}, "spec": spec}


async def made(client: Client, response: Object, *users: str) -> tuple[str, str]:
    """UIDs of a schema and a level of these users, which hold when it returns."""
    a_level = await client.ask("admin", "POST", LEVELS, level("mine", response))
    a_schema = await client.ask("admin", "POST", SCHEMAS, schema("mine", "mine", *users))
    assert (a_level.status, a_schema.status) == (201, 201), (a_level, a_schema)
    uid = a_schema.json["metadata"]["uid"]

    async def holds() -> bool:
        answered = await client.get(users[0], "/api/v1/nodes")
        return answered.headers["x-kubernetes-pf-flowschema-uid"] == str(uid)

    await until(holds)
    return uid, a_level.json["metadata"]["uid"]


async def shown(client: Client, page: str, **columns: str) -> list[dict[str, str]]:
    """Lines of a table of /debug, in which the columns have these values."""
    answered = await client.get("admin", f"{DEBUG}/{page}")
    assert answered.status == 200
    assert answered.headers["content-type"] == "text/plain; charset=utf-8"
    header, *lines = ([cell.strip() for cell in line.split(",")] for line in answered.body.splitlines())
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    return [row for row in rows if all(row[name] == value for name, value in columns.items())]


async def occupied(client: Client, user: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A write whose body does not come: it holds a seat until it does."""
    stream = await client.begin(user, "POST", MAPS, "Content-Type: application/json\r\nContent-Length: 25\r\n")

    async def runs() -> bool:
        return bool(await shown(client, "dump_requests", PriorityLevelName="mine", RequestIndexInQueue="-1"))

    stream[1].write(b"{")
    await until(runs)
    return stream


async def waiting(client: Client, number: int) -> None:
    async def holds() -> bool:
        [row] = await shown(client, "dump_priority_levels", PriorityLevelName="mine")
        return row["WaitingRequests"] == str(number)

    await until(holds)


def test_who_waits_and_who_is_refused() -> None:
    async def test(client: Client) -> None:
        a_schema, a_level = await made(
            client, {"type": "Queue", "queuing": {"queues": 2, "handSize": 1, "queueLengthLimit": 2}}, "kim"
        )
        reader, writer = await occupied(client, "kim")
        done = list[int]()

        async def asked(number: int) -> Answered:
            answered = await client.get("kim", f"{MAPS}/{number}")
            done.append(number)
            return answered

        tasks = []
        for number in range(2):
            tasks.append(asyncio.create_task(asked(number)))
            await waiting(client, number + 1)
        refused = await client.get("kim", MAPS)
        assert (refused.status, refused.body) == (429, TOO_MANY)
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-content-type-options"] == "nosniff"
        assert refused.headers["x-kubernetes-pf-flowschema-uid"] == a_schema
        assert refused.headers["x-kubernetes-pf-prioritylevel-uid"] == a_level
        assert (await client.get("admin", MAPS)).status == 200  # exempt
        assert (await client.get("lee", MAPS)).status == 200  # of another level
        rows = await shown(client, "dump_requests?includeRequestDetails=1", PriorityLevelName="mine")
        assert [(row["RequestIndexInQueue"], row["Verb"], row["Name"], row["UserName"]) for row in rows] == [
            ("0", "get", "0", "kim"),
            ("1", "get", "1", "kim"),
            ("-1", "create", "", "kim"),
        ]
        [queue] = [
            row for row in await shown(client, "dump_queues", PriorityLevelName="mine") if row["PendingRequests"] != "0"
        ]
        assert (queue["PendingRequests"], queue["ExecutingRequests"], queue["SeatsInUse"]) == ("2", "1", "1")
        assert not done
        writer.write(b'"metadata":{"name":"a"}}')
        created = await answer_of(reader, writer)
        assert created.status == 201
        assert [(await task).status for task in tasks] == [404, 404]
        assert done == [0, 1]
        metrics = (await client.get("admin", "/metrics")).body
        labels = 'priority_level="mine",flow_schema="mine"'
        assert f'apiserver_flowcontrol_rejected_requests_total{{{labels},reason="queue-full"}} 1' in metrics
        assert f"apiserver_flowcontrol_current_inqueue_requests{{{labels}}} 0" in metrics
        assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="mine"} 1' in metrics
        assert f'apiserver_flowcontrol_request_wait_duration_seconds_count{{{labels},execute="false"}} 1' in metrics

    run(test)


def test_a_quarter_of_its_time_is_waited() -> None:
    async def test(client: Client) -> None:
        await made(client, queuing(5), "kim")
        _, writer = await occupied(client, "kim")
        refused = await client.get("kim", f"{MAPS}?timeout=200ms")
        assert (refused.status, refused.body) == (429, TOO_MANY)
        metrics = (await client.get("admin", "/metrics")).body
        assert 'rejected_requests_total{priority_level="mine",flow_schema="mine",reason="time-out"} 1' in metrics
        writer.close()  # the one that runs leaves, and so does its seat
        await writer.wait_closed()

        async def answers() -> bool:
            return (await client.get("kim", MAPS)).status == 200

        await until(answers)

    run(test)


def test_who_leaves_the_queue_holds_up_nobody() -> None:
    async def test(client: Client) -> None:
        await made(client, queuing(5), "kim")
        reader, writer = await occupied(client, "kim")
        _, left = await client.begin("kim", "GET", MAPS, "")
        await waiting(client, 1)
        task = asyncio.create_task(client.get("kim", MAPS))
        await waiting(client, 2)
        left.close()
        await left.wait_closed()
        await waiting(client, 1)
        writer.write(b'"metadata":{"name":"b"}}')
        assert (await answer_of(reader, writer)).status == 201
        assert (await task).status == 200
        [row] = await shown(client, "dump_priority_levels", PriorityLevelName="mine")
        assert (row["IsIdle"], row["CancelledRequests"]) == ("true", "1")

    run(test)


def test_a_level_that_rejects() -> None:
    async def test(client: Client) -> None:
        await made(client, {"type": "Reject"}, "kim")
        _, writer = await occupied(client, "kim")
        assert (await client.get("kim", MAPS)).status == 429
        writer.close()
        await writer.wait_closed()
        metrics = (await client.get("admin", "/metrics")).body
        assert 'flow_schema="mine",reason="concurrency-limit"} 1' in metrics

    run(test)


@pytest.mark.parametrize(
    "query", ["", "&resourceVersion=0", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"]
)
def test_a_watch_takes_a_seat_only_while_it_begins(query: str) -> None:
    async def test(client: Client) -> None:
        await made(client, queuing(5), "kim")
        streams = [
            await client.begin("kim", "GET", f"{MAPS}?watch=1&allowWatchBookmarks=true{query}", "") for _ in range(3)
        ]
        for reader, _ in streams:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert b"X-Kubernetes-Pf-Flowschema-Uid" in head
        assert (await client.get("kim", MAPS)).status == 200
        [row] = await shown(client, "dump_priority_levels", PriorityLevelName="mine")
        assert (row["ExecutingRequests"], row["IsIdle"]) == ("0", "true")
        metrics = (await client.get("admin", "/metrics")).body
        assert 'request_execution_seconds_count{priority_level="mine",flow_schema="mine",type="watch"} 3' in metrics
        for _, writer in streams:
            writer.close()
            await writer.wait_closed()

    run(test)


def test_conditions_say_whether_the_level_is_there() -> None:
    async def test(client: Client) -> None:
        async def condition(name: str, wanted: str) -> Object:
            found: list[Object] = []

            async def holds() -> bool:
                obj = (await client.get("admin", f"{SCHEMAS}/{name}")).json
                found[:] = [one for one in obj["status"].get("conditions") or () if one["status"] == wanted]
                return bool(found)

            await until(holds)
            return found[0]

        assert (await client.ask("admin", "POST", SCHEMAS, schema("mine", "later", "kim"))).status == 201
        text = 'This FlowSchema references the PriorityLevelConfiguration object named "later"'
        missing = await condition("mine", "True")
        assert (missing["reason"], missing["message"]) == ("NotFound", f"{text} but there is no such object")
        assert (await client.ask("admin", "POST", LEVELS, level("later", queuing(5)))).status == 201
        there = await condition("mine", "False")
        assert (there["reason"], there["message"]) == ("Found", f"{text} and it exists")
        assert (await client.ask("admin", "DELETE", f"{LEVELS}/later")).status == 200
        await condition("mine", "True")
        managers = (await client.get("admin", f"{SCHEMAS}/mine")).json["metadata"]["managedFields"]
        assert ("api-priority-and-fairness-config-consumer-v1", "Apply", "status") in {
            (one["manager"], one["operation"], one.get("subresource")) for one in managers
        }

    run(test)


def test_what_every_cluster_has() -> None:
    async def test(client: Client) -> None:
        levels, schemas = [(await client.get("admin", path)).json["items"] for path in (LEVELS, SCHEMAS)]
        assert len(levels) == 8
        assert len(schemas) == 11
        assert {one["metadata"]["annotations"]["apf.kubernetes.io/autoupdate-spec"] for one in levels + schemas} == {
            "true"
        }
        assert {one["status"]["conditions"][0]["reason"] for one in schemas} == {"Found"}
        for hook in ("config-producer", "config-consumer", "filter"):
            assert (await client.get("admin", f"/readyz/poststarthook/priority-and-fairness-{hook}")).body == "ok"

    run(test)


def test_without_it() -> None:
    async def test(client: Client) -> None:
        answered = await client.get("kim", MAPS)
        assert answered.status == 200
        assert not [name for name in answered.headers if name.startswith("x-kubernetes-pf")]
        assert (await client.get("admin", f"{DEBUG}/dump_queues")).status == 404
        assert "apiserver_flowcontrol" not in (await client.get("admin", "/metrics")).body

    run(test, fair=False)
