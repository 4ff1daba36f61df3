"""`pybernetes kube-controller-manager` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from pybernetes.component import command, leaderflags, servingflags
from pybernetes.component.clientflags import Clients
from pybernetes.component.flags import Values
from pybernetes.controllers.options import FLAGS, NAME, Options, options_from

if TYPE_CHECKING:
    from pybernetes.component.metrics import Registry

PROGRAM = "pybernetes kube-controller-manager"


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or until the lease is lost (exit code 1)."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost or a port is in use, UsageError for files of no use."""
    from pybernetes.component.metrics import Registry, process_metrics

    options = options_from(values)
    leaderflags.check(values)
    registry = Registry()
    process_metrics(registry)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, NAME, registry)
        elector = leaderflags.elector(values, clients, registry)
        await servingflags.serve(stack, values, clients, registry, elector)
        await leaderflags.lead(elector, lambda: _control(values, options, clients, registry))


async def _control(values: Values, options: Options, clients: Clients, registry: Registry) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.controllers import manager
    from pybernetes.controllers.credentials import Accounts

    client = clients.client()
    async with AsyncExitStack() as stack:
        client_for = None
        if values["use-service-account-credentials"]:
            accounts = Accounts(client, clients.config, clients.another)
            stack.push_async_callback(accounts.close)
            client_for = accounts.client_for
        await manager.run(client, InformerFactory(client), options, registry=registry, client_for=client_for)
