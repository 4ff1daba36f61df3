"""`pybernetes kube-scheduler` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, flags, leaderflags, servingflags
from pybernetes.component.clientflags import Clients, client_flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values
from pybernetes.component.leaderflags import leader_flags
from pybernetes.component.servingflags import serving_flags

if TYPE_CHECKING:
    from pybernetes.component.metrics import Registry
    from pybernetes.scheduler.config import Options

PROGRAM = "pybernetes kube-scheduler"
NAME = "kube-scheduler"
COLLECTIONS = (20_000, 20, 100)  # thousands of pods stay for good: at the default the collector took half of the time
ELECTION = {  # of the configuration file, with the flags that say the same
    "leaderElect": "leader-elect",
    "leaseDuration": "leader-elect-lease-duration",
    "renewDeadline": "leader-elect-renew-deadline",
    "retryPeriod": "leader-elect-retry-period",
    "resourceLock": "leader-elect-resource-lock",
    "resourceName": "leader-elect-resource-name",
    "resourceNamespace": "leader-elect-resource-namespace",
}

FLAGS = (
    Flag("config", flags.string, "", "A KubeSchedulerConfiguration; what it says counts more than flags."),
    *client_flags(burst=100),
    command.VERBOSITY,
    *leader_flags(NAME),
    *serving_flags(10259),
)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or until the lease is lost (exit code 1)."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost or a port is in use, UsageError for files of no use."""
    from pybernetes.component.metrics import Registry, process_metrics

    gc.set_threshold(*COLLECTIONS)
    options = options_from(values)
    values = {**values, **_from_file(options)}
    leaderflags.check(values)
    registry = Registry()
    process_metrics(registry)
    async with AsyncExitStack() as stack:
        clients = Clients(stack, values, NAME, registry)
        elector = leaderflags.elector(values, clients, registry)
        await servingflags.serve(stack, values, clients, registry, elector)
        await leaderflags.lead(elector, lambda: _schedule(options, clients, registry))


def options_from(values: Values) -> Options:
    """The file of --config, or the defaults. UsageError where it is of no use."""
    from pybernetes.scheduler.config import ConfigError, Options, parse

    path = values["config"]
    if not path:
        return Options()
    import yaml

    try:
        return parse(yaml.safe_load(Path(path).read_text()))
    except OSError as error:
        raise UsageError(f"--config={path}: {error.strerror}") from error
    except (yaml.YAMLError, ConfigError) as error:
        raise UsageError(f"--config={path}: {' '.join(str(error).split())}") from error


def _from_file(options: Options) -> Values:
    """Flag values that the configuration file gives."""
    found: Values = {}
    for key, flag in ELECTION.items():
        value = options.leader_election.get(key)
        if value is not None:
            timed = flag.endswith(("duration", "deadline", "period"))
            found[flag] = flags.duration(value) if timed and isinstance(value, str) else value
    connection: Mapping[str, Any] = options.client_connection
    if connection.get("kubeconfig"):
        found["kubeconfig"] = connection["kubeconfig"]
    return found


async def _schedule(options: Options, clients: Clients, registry: Registry) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.scheduler import app

    client = clients.client()
    await app.run(client, InformerFactory(client), options, registry=registry)
