"""`pybernetes kube-apiserver` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pybernetes.aio import collector
from pybernetes.apiserver.options import FLAGS, options
from pybernetes.apiserver.options import encryption as encryption_options
from pybernetes.apiserver.options import store as store_options
from pybernetes.component import command
from pybernetes.component.command import Failure
from pybernetes.component.flags import Values

if TYPE_CHECKING:
    from pybernetes.apiserver.server import APIServer

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kube-apiserver"


@asynccontextmanager
async def running(values: Values) -> AsyncIterator[APIServer]:
    """A server that answers while the block runs. UsageError, Failure."""
    from pybernetes.apiserver.server import APIServer

    chosen = options(values)
    chosen.encryption = encryption = encryption_options.made(values)
    store = await store_options.opened(values, encryption)
    try:
        chosen.elsewhere = await store_options.opened_overrides(values, encryption)
        if encryption is not None:
            await encryption.start()
        server = APIServer(store, chosen)
        try:
            await server.start()
        except OSError as error:
            where = f"--secure-port={values['secure-port']}"
            raise Failure(f"{error.strerror or error}: is {where} in use?") from error
        collector.own_process()
        _log.info("serving securely on %s:%d", values["bind-address"], server.port)
        try:
            yield server
        finally:
            await server.stop()
    finally:
        if encryption is not None:
            await encryption.close()
        for one in dict.fromkeys((*chosen.elsewhere.values(), store)):
            await one.close()


async def run(values: Values) -> None:
    """Serves until cancelled."""
    async with running(values):
        await asyncio.Event().wait()


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, arguments)
