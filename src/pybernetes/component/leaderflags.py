"""The --leader-elect flags, and the elector that they ask for (upstream: component-base/config/options/leaderelectionconfig.go)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import flags
from .command import Failure, UsageError
from .flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.client.leaderelection import LeaderElector

    from .clientflags import Clients
    from .metrics import Registry

GROUP = "Leader election"


def leader_flags(lease: str) -> tuple[Flag, ...]:
    """`lease` is the default of its name."""
    return (
        Flag("leader-elect", flags.boolean, True, "Wait for the lease before any work.", GROUP),
        Flag("leader-elect-lease-duration", flags.duration, 15.0, "How long others wait for a silent leader.", GROUP),
        Flag("leader-elect-renew-deadline", flags.duration, 10.0, "How long a leader tries to renew.", GROUP),
        Flag("leader-elect-retry-period", flags.duration, 2.0, "The pause between tries.", GROUP),
        Flag("leader-elect-resource-lock", flags.string, "leases", "Only leases.", GROUP),
        Flag("leader-elect-resource-name", flags.string, lease, "The lease's name.", GROUP),
        Flag("leader-elect-resource-namespace", flags.string, "kube-system", "And its namespace.", GROUP),
    )


def check(values: Values) -> None:
    """UsageError for a lock that is not there."""
    lock = values["leader-elect-resource-lock"]
    if lock != "leases":
        raise UsageError(f"--leader-elect-resource-lock={lock}: only leases are there")


def elector(values: Values, clients: Clients, registry: Registry) -> LeaderElector | None:
    """None without --leader-elect. The lease has a client of its own, so that no burst of work can lose it."""
    if not values["leader-elect"]:
        return None
    from pybernetes.client.leaderelection import LeaderElector, Options

    name = values["leader-elect-resource-name"]
    options = Options(
        name,
        f"{os.uname().nodename}_{uuid.uuid4()}",
        values["leader-elect-resource-namespace"],
        values["leader-elect-lease-duration"],
        values["leader-elect-renew-deadline"],
        values["leader-elect-retry-period"],
    )
    election = LeaderElector(clients.unlimited("leader-election"), options)
    registry.gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
        ("name",),
        function=lambda: {(name,): float(election.is_leader)},
    )
    return election


async def lead(elector: LeaderElector | None, work: Callable[[], Awaitable[None]]) -> None:
    """Does the work while the lease is held, at once without an elector. Failure where the lease is lost."""
    if elector is None:
        await work()
        return
    await elector.run(work)
    raise Failure("leaderelection lost")
