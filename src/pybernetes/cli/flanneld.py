"""`pybernetes flanneld` with upstream's flags and FLANNELD_* environment (upstream: flannel's main.go)."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from pybernetes import __version__
from pybernetes.aio.clock import RealClock
from pybernetes.component import command
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Values
from pybernetes.flannel.options import FLAGS, FlanneldOptions, command_line, flanneld_options

if TYPE_CHECKING:
    from pybernetes.client.rest import RESTClient
    from pybernetes.flannel.app import Flanneld
    from pybernetes.flannel.config import NetworkConfig
    from pybernetes.flannel.etcdmanager import EtcdSubnetManager
    from pybernetes.flannel.etcdregistry import EtcdConfig
    from pybernetes.flannel.subnetmanager import KubeSubnetManager, SubnetManager

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes flanneld"
BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
BRIDGE_CALLS_V6 = Path("/proc/sys/net/bridge/bridge-nf-call-ip6tables")


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT."""
    return command.main(PROGRAM, FLAGS, run, command_line(arguments, os.environ))


async def run(values: Values) -> None:
    """Serves until cancelled."""
    if values["version"]:
        print(f"flanneld-pybernetes-{__version__}", file=sys.stderr)
        return
    chosen = flanneld_options(values)
    config = _network_config(chosen.net_config) if chosen.etcd is None else None
    _check_bridge_calls(BRIDGE_CALLS)
    async with AsyncExitStack() as stack:
        if chosen.etcd is None:
            assert config is not None
            manager: SubnetManager = await _kube_manager(stack, values, chosen, config)
        else:
            manager, config = await _etcd_manager(stack, chosen, chosen.etcd)
        if config.ipv6_network is not None:
            _check_bridge_calls(BRIDGE_CALLS_V6)
        await _serve(stack, chosen, config, manager)


def _check_bridge_calls(path: Path) -> None:
    """Without it the bridge's packets pass by iptables, and services answer from the wrong address."""
    if not path.exists():
        raise Failure(f"Failed to check br_netfilter: stat {path}: no such file or directory")


def _network_config(path: Path) -> NetworkConfig:
    from pybernetes.flannel.config import ConfigError, parse

    try:
        return parse(path.read_text())
    except OSError as error:
        raise Failure(f"failed to read net conf: open {path}: {error.strerror}") from error
    except (ConfigError, UnicodeDecodeError) as error:
        raise Failure(f"error parsing subnet config: {error}") from error


def _client(values: Values) -> RESTClient:
    from pybernetes.client.kubeconfig import Config, ConfigError, load
    from pybernetes.client.rest import RESTClient

    url, file = values["kube-api-url"], values["kubeconfig-file"]
    if url and not file:
        return RESTClient(Config(url), "flanneld")
    try:
        config = load(file or None)
        config.server = url or config.server
        return RESTClient(config, "flanneld")
    except (ConfigError, OSError) as error:
        raise UsageError(f"--kubeconfig-file: {error}") from error


async def _kube_manager(
    stack: AsyncExitStack, values: Values, chosen: FlanneldOptions, config: NetworkConfig
) -> KubeSubnetManager:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.flannel.annotations import annotation_names
    from pybernetes.flannel.config import ConfigError
    from pybernetes.flannel.subnetmanager import KubeSubnetManager, SubnetError, node_name

    client = _client(values)
    stack.push_async_callback(client.close)
    try:
        names = annotation_names(chosen.annotation_prefix)
        node = await node_name(os.environ, client)
    except (ConfigError, SubnetError) as error:
        raise Failure(str(error)) from error
    return KubeSubnetManager(client, InformerFactory(client), node, names, config, RealClock())


async def _etcd_manager(
    stack: AsyncExitStack, chosen: FlanneldOptions, etcd: EtcdConfig
) -> tuple[EtcdSubnetManager, NetworkConfig]:
    """Returns when there is a configuration that can be used, however long that takes."""
    from pybernetes.flannel.config import ConfigError, parse
    from pybernetes.flannel.etcdmanager import RETRY_SECONDS, EtcdSubnetManager
    from pybernetes.flannel.etcdregistry import EtcdError, LeaseRegistry, Registry
    from pybernetes.flannel.etcdv3registry import V3Registry

    try:
        registry: LeaseRegistry = Registry(etcd) if chosen.etcd_api == "v2" else V3Registry(etcd)
    except (OSError, ValueError) as error:
        raise UsageError(f"--etcd-endpoints, --etcd-cafile, --etcd-certfile, --etcd-keyfile: {error}") from error
    stack.push_async_callback(registry.close)
    clock = RealClock()
    while True:
        try:
            config = parse(await registry.network_config())
            return EtcdSubnetManager(
                registry, config, _previous(chosen.subnet_file), chosen.renew_margin, clock
            ), config
        except (ConfigError, EtcdError) as error:
            _log.error("Couldn't fetch network config: %s", error)
        await clock.sleep(RETRY_SECONDS)


def _previous(path: Path) -> IPv4Network | None:
    """The subnet that an earlier process had; None where that cannot be told, for whatever reason."""
    from pybernetes.net import subnetfile

    try:
        subnet = subnetfile.load(path).subnet
    except subnetfile.SubnetFileError:
        return None
    return subnet.network if subnet is not None else None


async def _serve(stack: AsyncExitStack, chosen: FlanneldOptions, config: NetworkConfig, manager: SubnetManager) -> None:
    from pybernetes.flannel.app import Flanneld, StartError
    from pybernetes.flannel.subnetmanager import SubnetError

    daemon = Flanneld(chosen, config, manager, RealClock())
    await _listen(stack, chosen, daemon)

    async def work(task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except (StartError, SubnetError) as error:
            raise Failure(str(error)) from error
        except ExceptionGroup as group:
            lost, others = group.split(SubnetError)
            if lost is None or others is not None:
                raise
            raise Failure("; ".join(str(error) for error in command.leaves(lost))) from group

    async with asyncio.TaskGroup() as group:
        group.create_task(work(manager.run))
        group.create_task(work(daemon.run))


async def _listen(stack: AsyncExitStack, chosen: FlanneldOptions, daemon: Flanneld) -> None:
    from pybernetes.component import serving
    from pybernetes.flannel.health import routes

    if chosen.healthz is None:
        return
    try:
        server = await serving.start(routes(lambda: daemon.ready), *chosen.healthz)
    except OSError as error:
        host, port = chosen.healthz
        raise Failure(f"Start healthz server error. {host}:{port}: {error.strerror or error}") from error
    stack.push_async_callback(server.stop, 0)
