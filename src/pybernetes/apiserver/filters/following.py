"""How a link hears of the end of an answer that goes on after it: watches, logs, streams."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pybernetes.wire.http import BodyWriter, StreamingResponse, Upgraded, UpgradeResponse

from ..endpoints.routes import Answer


def followed(answered: StreamingResponse | UpgradeResponse, ended: Callable[[], None]) -> Answer:
    """The answer, which calls `ended` once: at its end, however it ends, or when nobody takes it."""
    abandon = answered.abandoned

    def abandoned() -> None:
        ended()
        if abandon is not None:
            abandon()

    if isinstance(answered, UpgradeResponse):
        run = answered.run

        async def followed_run(stream: Upgraded) -> None:
            try:
                await run(stream)
            finally:
                ended()

        return replace(answered, run=followed_run, abandoned=abandoned)
    produce = answered.producer

    async def followed_production(writer: BodyWriter) -> None:
        try:
            await produce(writer)
        finally:
            ended()

    return StreamingResponse(followed_production, answered.status, answered.headers, abandoned)
