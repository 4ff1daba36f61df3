"""A kubelet whose certificate ended and is not renewed: it ends where a start may help, and not a moment before."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.kubelet.certificate.watchdog import NoCertificateError, watch

from .test_manager import DAY, Node

HOUR = 3600.0


async def ended_after(node: Node, watching: asyncio.Future[None], seconds: float) -> float | None:
    """After how many seconds it was given up; None: not at all."""
    begun = node.clock.monotonic()
    while node.clock.monotonic() - begun < seconds:
        await node.clock.advance(5)
        if watching.done():
            with pytest.raises(
                NoCertificateError,
                match=r"no valid client certificate is found \(it ended at .*server is responsive, exiting",
            ):
                await watching
            return node.clock.monotonic() - begun
    return None


@pytest.mark.parametrize(
    ("code", "down", "least", "most"),
    [
        (401, False, 300, 345),  # the server answers: five minutes, and the looks between
        (403, False, 300, 345),
        (503, False, None, None),  # a balancer without servers behind it
        (0, True, None, None),
    ],
)
def test_given_up(
    tmp_path: Path, code: int, down: bool, least: float | None, most: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(tmp_path, look_seconds=60.0)

    async def main() -> float | None:
        async with node.running():
            watching = asyncio.ensure_future(watch(node.store, node.clock, lambda: node.manager.responsive))
            await node.clock.advance(DAY)
            assert not watching.done()
            node.signer.refuses, node.signer.down = code, down
            node.clock.step(60 * DAY)  # asleep: these days do not count
            try:
                return await ended_after(node, watching, 2 * HOUR)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    after = asyncio.run(main())
    if least is None or most is None:
        assert after is None and caplog.text.count("but the server is not responsive; a restart may be necessary") == 1
    else:
        assert after is not None and least <= after <= most


def test_a_server_that_comes_back_in_time(tmp_path: Path) -> None:
    node = Node(tmp_path, look_seconds=60.0)

    async def main() -> None:
        async with node.running():
            watching = asyncio.ensure_future(watch(node.store, node.clock, lambda: node.manager.responsive))
            node.signer.refuses = 401
            node.clock.step(60 * DAY)
            await node.clock.advance(240)
            node.signer.refuses = 0
            await node.clock.advance(DAY)
            assert not watching.done() and len(node.renewed) == 2
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    asyncio.run(main())
