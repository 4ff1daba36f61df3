"""`pybernetes kube-apiserver` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NoReturn

from pybernetes.aio import collector
from pybernetes.apiserver.options import FLAGS, options
from pybernetes.apiserver.options import encryption as encryption_options
from pybernetes.apiserver.options import store as store_options
from pybernetes.component import command
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Values
from pybernetes.store.shared import SCHEME

if TYPE_CHECKING:
    from pybernetes.apiserver.endpoints.nonresource import OtherMetrics
    from pybernetes.apiserver.server import APIServer, Options
    from pybernetes.apiserver.workers import ServerWorkers

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kube-apiserver"


@asynccontextmanager
async def running(
    values: Values, arguments: Sequence[str] = (), other_metrics: OtherMetrics | None = None
) -> AsyncIterator[APIServer]:
    """A server that answers while the block runs; its workers are started with these arguments. UsageError, Failure."""
    from pybernetes.apiserver.server import APIServer

    chosen = options(values)
    chosen.other_metrics = other_metrics
    async with AsyncExitStack() as stack:
        if not values["store"].startswith(f"{SCHEME}:"):  # else the first process reads and writes what is encrypted
            chosen.encryption = encryption_options.made(values)
        encryption = chosen.encryption
        if encryption is not None:
            stack.push_async_callback(encryption.close)
        store = await store_options.opened(values, encryption)
        stack.push_async_callback(store.close)
        chosen.elsewhere = await store_options.opened_overrides(values, encryption)
        for one in dict.fromkeys(chosen.elsewhere.values()):
            stack.push_async_callback(one.close)
        if encryption is not None:
            await encryption.start()
        workers = _workers(values, arguments, chosen)
        if workers is not None:
            chosen.other_metrics = workers.metrics
        if workers is not None and not values["etcd-servers"]:
            store = await workers.share(store)
        server = APIServer(store, chosen)
        try:
            if workers is not None:
                _refuse_used_port(values)
            await server.start()
        except OSError as error:
            where = f"--secure-port={values['secure-port']}"
            raise Failure(f"{error.strerror or error}: is {where} in use?") from error
        collector.own_process()
        _log.info("serving securely on %s:%d", values["bind-address"], server.port)
        if workers is not None:
            await workers.start(server.port, server.metrics.registry.text)
        try:
            yield server
        finally:
            await asyncio.gather(server.stop(), *([workers.stop()] if workers is not None else []))


def _workers(values: Values, arguments: Sequence[str], chosen: Options) -> ServerWorkers | None:
    """Of the first process of several."""
    if values["workers"] == 1 or values["worker-number"]:
        return None
    from pybernetes.apiserver.workers import ServerWorkers

    return ServerWorkers(arguments, values["workers"], chosen.shutdown.delay + chosen.shutdown.watches, chosen.clock)


def _refuse_used_port(values: Values) -> None:
    """Who shares a port with its workers would share it with any other server of this user, too. OSError."""
    if values["secure-port"]:
        infos = socket.getaddrinfo(values["bind-address"], values["secure-port"], type=socket.SOCK_STREAM)
        family, *_, address = infos[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)


async def run(values: Values, arguments: Sequence[str] = ()) -> None:
    """Serves until cancelled."""
    if values["worker-number"]:
        await _work(values)
    async with running(values, arguments):
        await asyncio.Event().wait()


async def _work(values: Values) -> NoReturn:
    """As one of several processes. Failure."""
    from pybernetes.aio.clock import RealClock
    from pybernetes.apiserver.workers import first_ended
    from pybernetes.component.workers import FirstProcess

    try:
        first = FirstProcess(RealClock())
    except OSError as error:
        raise UsageError(
            f"--worker-number={values['worker-number']}: it is given by a server to its own workers"
        ) from error
    async with running(values, other_metrics=first.metrics) as server:
        await first_ended(first, server.cache.store, server.metrics.registry.text)
        raise Failure("the server whose worker this is has ended")


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, functools.partial(run, arguments=arguments), arguments)
