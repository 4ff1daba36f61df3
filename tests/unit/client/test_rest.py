"""The typed client against a server that hangs, forgets and rotates tokens."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from pybernetes.api import errors
from pybernetes.api.types import core_v1 as core
from pybernetes.client import rest
from pybernetes.client.http import _Connection
from pybernetes.client.kubeconfig import Config
from pybernetes.client.rest import RESTClient
from pybernetes.pki.bundles import common_name
from pybernetes.pki.certificates import Authority, Subject
from pybernetes.pki.contexts import ServerContext
from pybernetes.pki.files import write, write_pair
from pybernetes.wire.http import BodyWriter, Request, Response, StreamingResponse, serve

Answer = Callable[[Request], Awaitable[Response | StreamingResponse]]


def run(answer: Answer, use: Callable[[RESTClient], Awaitable[None]], timeout: float = 5.0, **config: Any) -> None:
    async def main() -> None:
        server = await serve(answer)
        client = RESTClient(Config(f"http://127.0.0.1:{server.port}", **config), timeout=timeout)
        try:
            async with asyncio.timeout(60):
                await use(client)
        finally:
            await client.close()
            await server.stop(0)

    asyncio.run(main())


def body(content: Any, status: int = 200) -> Response:
    return Response(status, [("Content-Type", "application/json")], json.dumps(content).encode())


async def silence(request: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError("not reached")


def test_a_silent_server_is_given_up() -> None:
    async def use(client: RESTClient) -> None:
        with pytest.raises(TimeoutError, match=r"no answer to GET /api/v1/nodes/a within 0\.05 s"):
            await client.get(core.Node, "a")
        with pytest.raises(TimeoutError):
            await anext(aiter(client.watch(core.Node, resource_version="1")))

    run(silence, use, timeout=0.05)


def test_a_watch_that_begins_is_held_for_longer_than_an_answer() -> None:
    async def answer(request: Request) -> StreamingResponse:
        async def produce(writer: BodyWriter) -> None:
            await writer.write(b" ")
            await asyncio.sleep(1.3)
            await writer.write(b'{"type": "ADDED", "object": {"metadata": {"name": "late"}}}\n')

        return StreamingResponse(produce)

    async def use(client: RESTClient) -> None:
        names = [event async for event in client.watch(core.Node, resource_version="1")]
        assert [event.object.metadata.name for event in names if isinstance(event, rest.WatchEvent)] == ["late"]

    run(answer, use, timeout=1)


def test_a_watch_that_does_not_end_when_asked_to_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rest, "ENDING_SECONDS", -0.9)

    async def answer(request: Request) -> StreamingResponse:
        async def produce(writer: BodyWriter) -> None:
            await writer.write(b" ")
            await asyncio.Event().wait()

        return StreamingResponse(produce)

    async def use(client: RESTClient) -> None:
        with pytest.raises(TimeoutError):
            await anext(aiter(client.watch(core.Node, resource_version="1", timeout_seconds=1)))

    run(answer, use)


def test_waiting_for_a_turn_is_no_reason_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pybernetes.client.http.REQUESTS_AT_ONCE", 1)

    async def answer(request: Request) -> Response:
        await asyncio.sleep(0.3)
        return body({"metadata": {"name": "a"}})

    async def use(client: RESTClient) -> None:
        await asyncio.gather(*(client.get(core.Node, "a") for _ in range(5)))

    run(answer, use, timeout=1)


def test_a_token_that_is_refused_is_read_again(tmp_path: Path) -> None:
    token, seen = tmp_path / "token", list[str]()
    token.write_text("old")

    async def answer(request: Request) -> Response:
        seen.append(request.header("authorization") or "")
        if seen[-1] != "Bearer new":
            return body(errors.unauthorized().status, 401)
        return body({"metadata": {"name": "a"}})

    async def use(client: RESTClient) -> None:
        with pytest.raises(errors.StatusError):
            await client.get(core.Node, "a")
        assert seen == ["Bearer old"], "the same token again would be no use"
        token.write_text("new")
        assert (await client.get(core.Node, "a")).metadata.name == "a"
        token.write_text("newer")  # read again only when it must be
        await client.get(core.Node, "a")

    run(answer, use, token_file=token)
    assert seen == ["Bearer old", "Bearer old", "Bearer new", "Bearer new"]


def test_a_watch_that_is_refused_drops_the_token(tmp_path: Path) -> None:
    token, seen = tmp_path / "token", list[str]()
    token.write_text("old")

    async def answer(request: Request) -> Response:
        seen.append(request.header("authorization") or "")
        return body(errors.unauthorized().status, 401)

    async def use(client: RESTClient) -> None:
        for written in ("new", "newer"):
            with pytest.raises(errors.StatusError):
                await anext(aiter(client.watch(core.Node, resource_version="1")))
            token.write_text(written)

    run(answer, use, token_file=token)
    assert seen == ["Bearer old", "Bearer new"]


def pages(forgets: bool, asked: list[dict[str, str]]) -> Answer:
    """Three nodes on two pages; the second one may be forgotten."""

    async def answer(request: Request) -> Response:
        query = {key: values[0] for key, values in parse_qs(request.query.decode()).items()}
        asked.append(query)
        if forgets and "continue" in query:
            return body(errors.expired("The provided continue parameter is too old").status, 410)
        names, rest_ = (["c"], "") if "continue" in query else (["a", "b"], "more&more")
        if "limit" not in query:
            names, rest_ = ["a", "b", "c", "d"], ""
        items = [{"metadata": {"name": name}} for name in names]
        return body({"metadata": {"resourceVersion": "9", "continue": rest_}, "items": items})

    return answer


@pytest.mark.parametrize(
    ("forgets", "version", "names", "asked"),
    [
        (False, "", "abc", [{"limit": "500"}, {"limit": "500", "continue": "more&more"}]),
        (True, "", "abcd", [{"limit": "500"}, {"limit": "500", "continue": "more&more"}, {}]),
        (False, "0", "abcd", [{"resourceVersion": "0"}]),
    ],
)
def test_lists_come_in_pages(forgets: bool, version: str, names: str, asked: list[dict[str, str]]) -> None:
    queries: list[dict[str, str]] = []

    async def use(client: RESTClient) -> None:
        found = await client.list(core.Node, resource_version=version)
        assert "".join(node.metadata.name for node in found.items) == names
        assert found.resource_version == "9"

    run(pages(forgets, queries), use)
    assert queries == asked


def test_the_kernel_watches_over_connections() -> None:
    async def answer(request: Request) -> Response:
        return body({"metadata": {"name": "a"}})

    async def use(client: RESTClient) -> None:
        await client.get(core.Node, "a")
        (connection,) = client._http._idle
        assert isinstance(connection, _Connection)
        peer = connection.transport.get_extra_info("socket")
        assert peer.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 45_000

    run(answer, use)


def test_a_certificate_that_was_replaced_is_tried_after_a_refusal(tmp_path: Path) -> None:
    """The connection that stands was made with the old one; a busy client looks at its files only so often (FILES_SECONDS)."""
    now = datetime.now(UTC)
    authority = Authority.create("ca", now)
    serving = Subject("s", addresses=("127.0.0.1",), server=True, client=False)
    write_pair(tmp_path / "s.crt", tmp_path / "s.key", authority.issue(serving, now))
    (tmp_path / "ca.crt").write_bytes(authority.pem)
    asked: list[str] = []

    def replace(name: str) -> None:
        pair = authority.issue(Subject(name), now)
        write(tmp_path / "pair.pem", pair.certificate + pair.key)

    async def answer(request: Request) -> Response:
        assert request.peer_certificate is not None
        asked.append(common_name(request.peer_certificate))
        return body({"metadata": {}}) if asked[-1] == good else body(errors.unauthorized().status, 401)

    async def main() -> None:
        nonlocal good
        server = await serve(
            answer, ssl_context=ServerContext(tmp_path / "s.crt", tmp_path / "s.key", [tmp_path / "ca.crt"])
        )
        pair = tmp_path / "pair.pem"
        read = pair.read_bytes()
        url = f"https://127.0.0.1:{server.port}"
        config = Config(url, ca_data=authority.pem, certificate=read, key=read, certificate_file=pair, key_file=pair)
        client = RESTClient(config)
        try:
            await client.get(core.Node, "a")
            replace("new")
            good = "new"
            await client.get(core.Node, "a")
            assert asked == ["old", "old", "new"]
            good = "nobody"
            with pytest.raises(errors.StatusError, match="Unauthorized"):
                await client.get(core.Node, "a")
            assert asked == ["old", "old", "new", "new"]  # there is no other: once is enough
        finally:
            await client.close()
            await server.stop(0)

    good = "old"
    replace("old")
    asyncio.run(main())
