"""`pybernetes kubelet` with upstream's flags (upstream: cmd/kubelet)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pybernetes.component import command, configfile
from pybernetes.component.command import Failure, UsageError
from pybernetes.component.flags import Values
from pybernetes.kubelet import validation
from pybernetes.kubelet.configfields import CONFIGURATION
from pybernetes.kubelet.options import FLAGS, KubeletConfiguration, kubelet_configuration

from . import kubeletcertificates

if TYPE_CHECKING:
    from pybernetes.client.rest import RESTClient
    from pybernetes.component.metrics import Registry
    from pybernetes.kubelet.app import Kubelet
    from pybernetes.kubelet.certificate.manager import CertificateManager
    from pybernetes.kubelet.interfaces import PodNetwork, Runtime

_log = logging.getLogger(__name__)

PROGRAM = "pybernetes kubelet"
DOCKERS_BRIDGE = ("", "noop")  # of --network-plugin, as kubelets up to 1.23 call it


def main(arguments: list[str]) -> int:
    """Runs until SIGTERM or SIGINT; containers go on."""
    return command.main(PROGRAM, FLAGS, run, arguments)


async def run(values: Values) -> None:
    """Serves until cancelled."""
    from pybernetes.client.rest import RESTClient
    from pybernetes.kubelet.process import host_addresses, host_name

    chosen = kubelet_configuration(_with_file(values), host_name(), host_addresses())
    _check(chosen)
    client = RESTClient(await kubeletcertificates.client_config(chosen), "kubelet")
    try:
        if chosen["runtime"] == "hollow":
            await _run_hollow(chosen, client)
        else:
            await _run_docker(chosen, client)
    finally:
        await client.close()


def _with_file(values: Values) -> Values:
    if not values["config"]:
        return values
    return configfile.merged(CONFIGURATION, FLAGS, values, configfile.load(values["config"]))


def _check(chosen: KubeletConfiguration) -> None:
    if chosen["runtime"] not in ("docker", "hollow"):
        raise UsageError(f"--runtime={chosen['runtime']}: it is docker or hollow")
    if chosen["authorization-mode"] not in ("Webhook", "AlwaysAllow"):
        raise UsageError(f"--authorization-mode={chosen['authorization-mode']}: it is Webhook or AlwaysAllow")
    if chosen["network-plugin"] not in ("kubenet", "cni", *DOCKERS_BRIDGE):
        raise UsageError(f"--network-plugin={chosen['network-plugin']}: it is kubenet, cni or noop")
    if chosen["network-plugin"] != "kubenet" and chosen["pod-subnet-file"]:
        raise UsageError(
            "--pod-subnet-file is for --network-plugin=kubenet: dockerd is told its subnet by --bip (mk-docker-opts), "
            "CNI by the plugin flannel (flannel-cni)"
        )
    if bool(chosen["tls-cert-file"]) != bool(chosen["tls-private-key-file"]):
        raise UsageError("--tls-cert-file and --tls-private-key-file are given together or not at all")
    if wrong := validation.problems(chosen):
        raise UsageError("; ".join(wrong))
    if not chosen["kubeconfig"]:
        raise UsageError("--kubeconfig is required: a kubelet without an API server is not served here")


async def _run_hollow(chosen: KubeletConfiguration, client: RESTClient) -> None:
    from pybernetes.client.informer import InformerFactory
    from pybernetes.kubelet.hollownodes import hollow_kubelets, run_all

    informers = InformerFactory(client)
    name, count = chosen.options.hostname_override, chosen["hollow-nodes"]
    names = [name] if count == 1 else [f"{name}-{number}" for number in range(count)]
    kubelets: list[Kubelet] = []
    async with asyncio.TaskGroup() as group, AsyncExitStack() as stack:
        port = await _serve_hollow(chosen, client, kubelets, stack)
        kubelets += hollow_kubelets(
            client,
            informers,
            names,
            max_pods=chosen.options.max_pods,
            addresses=chosen.options.node_ip,
            port=port,
        )
        await _serve_health(chosen, kubelets, stack)
        group.create_task(informers.run())
        _renew(group, chosen, kubeletcertificates.managers(chosen, client))
        await run_all(kubelets)


async def _serve_hollow(
    chosen: KubeletConfiguration, client: RESTClient, kubelets: list[Kubelet], stack: AsyncExitStack
) -> int:
    """One HTTPS port for all of them: --port, or a free one where that is taken, since their Nodes tell which. 0: none."""
    from pybernetes.kubelet.server.hollow import HollowServer

    if not chosen.options.port:
        return 0
    context = kubeletcertificates.serving_context(chosen)
    server = HollowServer(kubelets, _guard(chosen, client), _now, _now())
    try:
        listening = await server.start(chosen["address"], chosen.options.port, context)
    except OSError as error:
        _log.warning("--port=%d: %s; any other port is as good", chosen.options.port, error.strerror or error)
        listening = await server.start(chosen["address"], 0, context)
    stack.push_async_callback(listening.stop, 0)
    return listening.port


async def _run_docker(chosen: KubeletConfiguration, client: RESTClient) -> None:
    import os
    from pathlib import Path

    from pybernetes.kubelet.network.bridge import BridgeNetwork
    from pybernetes.kubelet.network.cni.network import CNINetwork
    from pybernetes.kubelet.network.delegated import RuntimeNetwork
    from pybernetes.kubelet.network.links import make_bridges_call_iptables
    from pybernetes.kubelet.process import pod_resolver
    from pybernetes.kubelet.runtime.docker import DockerRuntime

    if os.geteuid() != 0:
        raise Failure("a kubelet on Docker needs root for mounts and interfaces; --runtime=hollow needs none")
    bridged = chosen["network-plugin"] in DOCKERS_BRIDGE
    endpoint = chosen["container-runtime-endpoint"] or chosen["docker-endpoint"]
    try:
        runtime = DockerRuntime(
            endpoint, chosen["pod-infra-container-image"], bridged=bridged, log_options=chosen.options.log_options
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    if bridged:
        make_bridges_call_iptables()
        try:
            await _run_host(chosen, client, runtime, RuntimeNetwork())
        finally:
            await runtime.close()
        return
    if chosen["network-plugin"] == "cni":
        plugins = CNINetwork(
            runtime.sandbox_pid,
            conf_dir=chosen["cni-conf-dir"],
            bin_dirs=chosen["cni-bin-dir"],
            cache_dir=chosen["cni-cache-dir"],
            resolver=pod_resolver(chosen.options),
        )
        try:
            await _run_host(chosen, client, runtime, plugins, plugins.run)
        finally:
            await plugins.close()
            await runtime.close()
        return
    network = BridgeNetwork(
        chosen.options.root_dir,
        runtime.sandbox_pid,
        bridge=chosen["pod-bridge"],
        cluster_cidr=chosen["non-masquerade-cidr"],
        subnet_file=Path(chosen["pod-subnet-file"]) if chosen["pod-subnet-file"] else None,
    )
    try:
        await _run_host(chosen, client, runtime, network)
    finally:
        network.close()
        await runtime.close()


async def _run_host(
    chosen: KubeletConfiguration,
    client: RESTClient,
    runtime: Runtime,
    network: PodNetwork,
    follow_network: Callable[[Callable[[], None]], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """A node of this machine on whatever runtime. `follow_network` runs beside it, and calls what it is given when its problem changes."""
    from pybernetes.client.informer import InformerFactory
    from pybernetes.component.metrics import Registry
    from pybernetes.kubelet.node.cgroups import CannotLimit
    from pybernetes.kubelet.process import assemble

    informers = InformerFactory(client)
    kubelets: list[Kubelet] = []
    async with AsyncExitStack() as stack:
        await _serve_health(chosen, kubelets, stack)
        try:
            kubelet = await assemble(runtime, chosen.options, client, informers, network)
        except CannotLimit as error:
            raise Failure(f"--pod-max-pids={chosen.options.pod_max_pids}: {error}") from error
        kubelets.append(kubelet)
        registry = Registry()
        await _serve(chosen, client, kubelet, runtime, registry, stack)
        async with asyncio.TaskGroup() as group:
            group.create_task(informers.run())
            group.create_task(kubelet.run())
            if follow_network is not None:
                group.create_task(follow_network(kubelet.keeper.check_soon))
            _renew(group, chosen, kubeletcertificates.managers(chosen, client, registry=registry))


def _renew(group: asyncio.TaskGroup, chosen: KubeletConfiguration, managers: Sequence[CertificateManager]) -> None:
    for manager in managers:
        group.create_task(manager.run())
    group.create_task(kubeletcertificates.watched(chosen, managers))


async def _serve_health(chosen: KubeletConfiguration, kubelets: list[Kubelet], stack: AsyncExitStack) -> None:
    """The plain port; `kubelets` may get longer later."""
    from pybernetes.kubelet.server.handlers import loopback_health

    host, port = chosen["healthz-bind-address"], chosen["healthz-port"]
    if not port:
        return

    def sync_loop() -> str:
        return next(filter(None, (kubelet.sync_loop.check() for kubelet in kubelets)), "")

    try:
        server = await loopback_health(host, port, sync_loop)
    except OSError as error:
        raise Failure(f"--healthz-port={port}: {error.strerror or error}") from error
    stack.push_async_callback(server.stop, 0)


async def _serve(
    chosen: KubeletConfiguration,
    client: RESTClient,
    kubelet: Kubelet,
    runtime: Runtime,
    registry: Registry,
    stack: AsyncExitStack,
) -> None:
    from pybernetes.component.metrics import process_metrics
    from pybernetes.kubelet.configz import configz
    from pybernetes.kubelet.node.host import read_machine
    from pybernetes.kubelet.server.handlers import KubeletServer

    if not chosen.options.port:
        return
    options, now = chosen.options, datetime.now(UTC)
    context = kubeletcertificates.serving_context(chosen)
    process_metrics(registry)
    try:
        server = KubeletServer(
            kubelet,
            runtime,
            memory=read_machine(options.root_dir).memory_bytes,
            configz=configz(chosen, await runtime.cgroup_driver()),
            registry=registry,
            started=now,
            guard=_guard(chosen, client),
            now=_now,
        )
        listening = await server.start(chosen["address"], options.port, context)
    except OSError as error:  # ssl.SSLError is one
        raise Failure(f"--port={options.port}: {error.strerror or error}") from error
    stack.push_async_callback(listening.stop, 0)


def _guard(chosen: KubeletConfiguration, client: RESTClient) -> Any:
    import time

    from pybernetes.component.delegated import DelegatedGuard, certificate_user
    from pybernetes.kubelet.server.guard import KubeletGuard
    from pybernetes.pki.bundles import AuthorityFile

    try:
        issued = AuthorityFile(Path(chosen["client-ca-file"])).issued if chosen["client-ca-file"] else None
    except (OSError, ValueError) as error:
        raise Failure(f"--client-ca-file={chosen['client-ca-file']}: {error}") from error
    user = certificate_user(_now, issued) if issued is not None else None
    delegated = DelegatedGuard(client, time.monotonic, user)
    return KubeletGuard(
        delegated, anonymous=chosen["anonymous-auth"], allow_all=chosen["authorization-mode"] == "AlwaysAllow"
    )


def _now() -> datetime:
    return datetime.now(UTC)
