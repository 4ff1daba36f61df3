"""`pybernetes kube-scheduler` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import gc
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, configfile, leaderflags, servingflags
from pybernetes.component.clientflags import Clients
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Values
from pybernetes.scheduler.options import CONFIGURATION, FLAGS, NAME

if TYPE_CHECKING:
    from pybernetes.component.metrics import Registry
    from pybernetes.scheduler.profiles.config import Options

PROGRAM = "pybernetes kube-scheduler"
COLLECTIONS = (20_000, 20, 100)  # thousands of pods stay for good: at the default the collector took half of the time


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or until the lease is lost (exit code 1)."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost or a port is in use, UsageError for files of no use."""
    from pybernetes.component.metrics import Registry, process_metrics
    from pybernetes.scheduler.profiles.config import Options

    gc.set_threshold(*COLLECTIONS)
    options = Options()
    if values["config"]:
        document = configfile.load(values["config"])
        values = configfile.merged(CONFIGURATION, FLAGS, values, document)
        options = options_from(values["config"], document)
    leaderflags.check(values)
    registry = Registry()
    process_metrics(registry)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, NAME, registry)
        elector = leaderflags.elector(values, clients, registry)
        await servingflags.serve(stack, values, clients, registry, elector)
        await leaderflags.lead(elector, lambda: _schedule(options, clients, registry))


def options_from(path: str, document: Any) -> Options:
    """What the file of --config says of profiles and queue. UsageError where it is of no use."""
    from pybernetes.scheduler.profiles.config import ConfigError, parse

    try:
        return parse(document)
    except ConfigError as error:
        raise UsageError(f"--config={path}: {error}") from error


async def _schedule(options: Options, clients: Clients, registry: Registry) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.scheduler import app

    client = clients.client()
    await app.run(client, InformerFactory(client), options, registry=registry)
