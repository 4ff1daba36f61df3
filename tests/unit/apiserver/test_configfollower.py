"""A configuration's file that is followed."""

import asyncio
import logging
from pathlib import Path

import pytest

from pybernetes.aio.clock import VirtualClock
from pybernetes.apiserver.configdocument import DocumentError
from pybernetes.apiserver.configfollower import LOOK_SECONDS, Follower
from pybernetes.apiserver.configmetrics import ReloadMetrics, digest
from pybernetes.component.metrics import Registry

PREFIX = "apiserver_authentication_config_controller"


def test_it_takes_what_is_new_and_keeps_what_was_there_where_that_is_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file, taken = tmp_path / "file", list[bytes]()

    async def take(data: bytes) -> None:
        if data == b"wrong":
            raise DocumentError("it is wrong")
        if data == b"worse":
            raise KeyError("worse")
        taken.append(data)

    def put(data: bytes) -> None:
        """Another file in its place, as Secrets and editors do."""
        (tmp_path / "new").write_bytes(data)
        (tmp_path / "new").replace(file)

    async def work() -> None:
        clock, registry = VirtualClock(), Registry()
        put(b"a")
        follower = Follower(
            str(file), "authentication configuration", b"a", take, ReloadMetrics(registry, "authentication", "s"), clock
        )
        assert (
            f'{PREFIX}_last_config_info{{apiserver_id_hash="{digest("s")}",hash="{digest(b"a")}"}} 1' in registry.text()
        )
        for data, expected in (
            (b"a", []),
            (b"wrong", []),
            (b"worse", []),
            (b"", []),
            (b"b", [b"b"]),
            (b"b", [b"b"]),
            (b"c", [b"b", b"c"]),
        ):
            put(data)
            await follower.look()
            await follower.look()  # what was looked at is not looked at again
            assert taken == expected
        file.unlink()
        await follower.look()
        text = registry.text()
        assert f'{PREFIX}_automatic_reloads_total{{status="success",apiserver_id_hash="{digest("s")}"}} 2' in text
        assert f'{PREFIX}_automatic_reloads_total{{status="failure",apiserver_id_hash="{digest("s")}"}} 4' in text
        assert f'hash="{digest(b"c")}"}} 1' in text and digest(b"a") not in text

    with caplog.at_level(logging.ERROR):
        asyncio.run(work())
    assert "the one before stays: it is wrong" in caplog.text and "is empty" in caplog.text


def test_it_looks_by_itself(tmp_path: Path) -> None:
    file, taken = tmp_path / "file", asyncio.Queue[bytes]()

    async def take(data: bytes) -> None:
        taken.put_nowait(data)

    async def work() -> None:
        clock = VirtualClock()
        file.write_bytes(b"b")
        metrics = ReloadMetrics(Registry(), "authorization", "s")
        follower = Follower(str(file), "authorization configuration", b"a", take, metrics, clock)
        follower.start()
        await asyncio.sleep(0)
        await clock.advance(LOOK_SECONDS)
        assert await asyncio.wait_for(taken.get(), 30) == b"b"
        await follower.close()

    asyncio.run(work())
