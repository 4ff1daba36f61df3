"""`pybernetes kube-scheduler` with upstream's flags, as far as what stands behind them is there."""

from __future__ import annotations

import gc
import logging
import os
import ssl
import time
import uuid
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, flags
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from pybernetes.client.kubeconfig import Config
    from pybernetes.client.leaderelection import LeaderElector
    from pybernetes.component.delegated import Guard
    from pybernetes.component.metrics import Registry
    from pybernetes.component.restclient import PartClient, RequestMetrics
    from pybernetes.scheduler.config import Options

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kube-scheduler"
NAME = "kube-scheduler"
COLLECTIONS = (20_000, 20, 100)  # thousands of pods stay for good: at the default the collector took half of the time
DRAIN_SECONDS = 1.0  # for requests to the health port when the part ends
ELECTION = {  # of the configuration file, with the flags that say the same
    "leaderElect": "leader-elect",
    "leaseDuration": "leader-elect-lease-duration",
    "renewDeadline": "leader-elect-renew-deadline",
    "retryPeriod": "leader-elect-retry-period",
    "resourceLock": "leader-elect-resource-lock",
    "resourceName": "leader-elect-resource-name",
    "resourceNamespace": "leader-elect-resource-namespace",
}

_SERVING, _WHO, _MAY, _LEADER = "Secure serving", "Authentication", "Authorization", "Leader election"
FLAGS = (
    Flag("config", flags.string, "", "A KubeSchedulerConfiguration; what it says counts more than flags.", "Misc"),
    Flag("kubeconfig", flags.string, "", "How to reach the API server, and as whom.", "Deprecated"),
    Flag("master", flags.string, "", "The API server's address, instead of the kubeconfig's.", "Misc"),
    Flag("kube-api-qps", flags.number, -1.0, "Requests a second to the API server; -1: as many as it takes."),
    Flag("kube-api-burst", flags.integer, 100, "Requests in a burst beyond --kube-api-qps."),
    Flag("bind-address", flags.string, "0.0.0.0", "The address to listen on with --secure-port.", _SERVING),
    Flag("secure-port", flags.integer, 10259, "The port for HTTPS; 0: none.", _SERVING),
    Flag("address", flags.string, "127.0.0.1", "The address to listen on with --port.", _SERVING),
    Flag("port", flags.integer, 0, "A port without TLS and credentials (upstream's was 10251); 0: none.", _SERVING),
    Flag("tls-cert-file", flags.string, "", "The serving certificate, PEM; made at the start if not given.", _SERVING),
    Flag("tls-private-key-file", flags.string, "", "Its key, PEM.", _SERVING),
    Flag("cert-dir", flags.string, "", "Where a certificate made at the start is kept; empty: in memory.", _SERVING),
    Flag("authentication-kubeconfig", flags.string, "", "Who asks for reviews of tokens.", _WHO),
    Flag("authentication-skip-lookup", flags.boolean, False, "Do not read the cluster's CA of clients.", _WHO),
    Flag("authentication-tolerate-lookup-failure", flags.boolean, True, "Always so: start without.", _WHO),
    Flag("client-ca-file", flags.string, "", "Who shows a certificate signed by one of these is its CN.", _WHO),
    Flag("requestheader-client-ca-file", flags.string, "", "Accepted; front proxies are not trusted.", _WHO),
    Flag("authorization-kubeconfig", flags.string, "", "Who asks what a user may.", _MAY),
    Flag("leader-elect", flags.boolean, True, "Wait for the lease before any work.", _LEADER),
    Flag("leader-elect-lease-duration", flags.duration, 15.0, "How long others wait for a silent leader.", _LEADER),
    Flag("leader-elect-renew-deadline", flags.duration, 10.0, "How long a leader tries to renew.", _LEADER),
    Flag("leader-elect-retry-period", flags.duration, 2.0, "The pause between tries.", _LEADER),
    Flag("leader-elect-resource-lock", flags.string, "leases", "Only leases.", _LEADER),
    Flag("leader-elect-resource-name", flags.string, NAME, "The lease's name.", _LEADER),
    Flag("leader-elect-resource-namespace", flags.string, "kube-system", "And its namespace.", _LEADER),
    command.VERBOSITY,
)


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT, or until the lease is lost (exit code 1)."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled. Failure where the lease is lost or a port is in use, UsageError for files of no use."""
    from pybernetes.component.metrics import Registry, process_metrics
    from pybernetes.component.restclient import RequestMetrics

    gc.set_threshold(*COLLECTIONS)
    options = options_from(values)
    values = {**values, **_from_file(options)}
    if values["leader-elect-resource-lock"] != "leases":
        raise UsageError(f"--leader-elect-resource-lock={values['leader-elect-resource-lock']}: only leases are there")
    config = _config(values, "kubeconfig")
    registry = Registry()
    process_metrics(registry)
    requests = RequestMetrics(registry)
    async with AsyncExitStack() as stack:
        elector = _elector(stack, values, config, requests, registry)
        await _serve(stack, values, registry, elector, requests)
        if elector is None:
            await _schedule(stack, values, options, config, registry, requests)
        else:
            await elector.run(lambda: _schedule(stack, values, options, config, registry, requests))
            raise Failure("leaderelection lost")


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


async def _schedule(
    stack: AsyncExitStack,
    values: Values,
    options: Options,
    config: Config,
    registry: Registry,
    requests: RequestMetrics,
) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.component.restclient import TokenBucket
    from pybernetes.scheduler import app

    bucket = TokenBucket(values["kube-api-qps"], values["kube-api-burst"]) if values["kube-api-qps"] > 0 else None
    client = _client(stack, config, requests, NAME, bucket)
    await app.run(client, InformerFactory(client), options, registry=registry)


def _config(values: Values, flag: str) -> Config:
    from pybernetes.client.kubeconfig import Config, ConfigError, load

    if flag == "kubeconfig" and values["master"] and not values["kubeconfig"]:
        return Config(values["master"])
    try:
        config = load(values[flag] or values["kubeconfig"] or None)
    except (ConfigError, OSError) as error:
        raise UsageError(f"--{flag}: {error}") from error
    if flag == "kubeconfig" and values["master"]:
        config.server = values["master"]
    return config


def _client(
    stack: AsyncExitStack, config: Config, requests: RequestMetrics, agent: str, bucket: Any = None
) -> PartClient:
    from pybernetes.client.kubeconfig import ConfigError
    from pybernetes.component.restclient import PartClient

    try:
        client = PartClient(config, agent, requests, bucket)
    except ConfigError as error:
        raise UsageError(str(error)) from error
    stack.push_async_callback(client.close)
    return client


def _elector(
    stack: AsyncExitStack, values: Values, config: Config, requests: RequestMetrics, registry: Registry
) -> LeaderElector | None:
    """None without --leader-elect. The lease has a client of its own, so that no burst of work can lose it."""
    if not values["leader-elect"]:
        return None
    from pybernetes.client.leaderelection import LeaderElector
    from pybernetes.client.leaderelection import Options as Election

    name = values["leader-elect-resource-name"]
    election = Election(
        name,
        f"{os.uname().nodename}_{uuid.uuid4()}",
        values["leader-elect-resource-namespace"],
        values["leader-elect-lease-duration"],
        values["leader-elect-renew-deadline"],
        values["leader-elect-retry-period"],
    )
    own = _client(stack, config, requests, f"{NAME}/leader-election")
    elector = LeaderElector(own, election, lambda: datetime.now(UTC))
    registry.gauge(
        "leader_election_master_status",
        "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master.",
        ("name",),
        function=lambda: {(name,): float(elector.is_leader)},
    )
    return elector


async def _serve(
    stack: AsyncExitStack, values: Values, registry: Registry, elector: LeaderElector | None, requests: RequestMetrics
) -> None:
    """Opens the ports; they close with the stack."""
    from pybernetes.component import serving, servingcert

    routes = serving.standard(registry, {"leaderElection": elector.problem} if elector is not None else {})
    try:
        if values["secure-port"]:
            pair = values["tls-cert-file"], values["tls-private-key-file"]
            own = ["127.0.0.1", "::1"]
            context = servingcert.context(*pair, values["cert-dir"], NAME, own, datetime.now(UTC))
            guard = await _guard(stack, values, context, requests)
            server = await serving.start(routes, values["bind-address"], values["secure-port"], context, guard)
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
        if values["port"]:
            server = await serving.start(routes, values["address"], values["port"])
            stack.push_async_callback(server.stop, DRAIN_SECONDS)
    except ssl.SSLError as error:
        raise UsageError(
            f"--tls-cert-file, --tls-private-key-file, --client-ca-file cannot be used: {error}"
        ) from error
    except OSError as error:
        raise Failure(
            f"{error.strerror or error}: is --secure-port={values['secure-port']} or --port={values['port']} in use?"
        ) from error


async def _guard(stack: AsyncExitStack, values: Values, context: ssl.SSLContext, requests: RequestMetrics) -> Guard:
    from pybernetes.component.delegated import DelegatedGuard, certificate_user

    reviews = _client(stack, _config(values, "authentication-kubeconfig"), requests, NAME)
    authority = _read_ca(values) or ("" if values["authentication-skip-lookup"] else await _published_ca(reviews))
    if authority:
        context.load_verify_locations(cadata=authority)
        context.verify_mode = ssl.CERT_OPTIONAL
    guard = DelegatedGuard(reviews, time.monotonic, certificate_user(lambda: datetime.now(UTC)))
    if values["authorization-kubeconfig"] in ("", values["authentication-kubeconfig"]):
        return guard
    access = _client(stack, _config(values, "authorization-kubeconfig"), requests, NAME)
    return _Split(guard, DelegatedGuard(access, time.monotonic))


class _Split:
    """Two files, two clients."""

    def __init__(self, who: Guard, may: Guard) -> None:
        self.authenticate, self.authorize = who.authenticate, may.authorize


def _read_ca(values: Values) -> str:
    path = values["client-ca-file"]
    try:
        return Path(path).read_text() if path else ""
    except OSError as error:
        raise UsageError(f"--client-ca-file={path}: {error.strerror}") from error


async def _published_ca(client: PartClient) -> str:
    """What the API server publishes of its --client-ca-file; "" where it cannot be read: then certificates are not taken."""
    from pybernetes.api.errors import StatusError
    from pybernetes.api.types import core_v1

    try:
        found = await client.get(core_v1.ConfigMap, "extension-apiserver-authentication", "kube-system")
    except (StatusError, ConnectionError, TimeoutError) as error:
        _log.warning("the CA of clients cannot be read, certificates are not taken on this port: %s", error)
        return ""
    return found.data.get("client-ca-file", "")
