"""One kubelet on the Docker engine, put together (upstream: cmd/kubelet/app/server.go)."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pybernetes.aio.clock import RealClock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client, Informers

from . import cgroups
from . import node as n
from .app import Kubelet, Machinery, pod_informer, system_now
from .cluster import APICluster
from .network.bridge import BridgeNetwork
from .options import KubeletOptions
from .prober import RuntimeProber
from .recorder import Recorder
from .runtime.docker import DockerRuntime
from .runtime.types import RuntimeFailure
from .volumes.manager import VolumeManager

logger = logging.getLogger(__name__)


@asynccontextmanager
async def docker_kubelet(
    options: KubeletOptions,
    client: Client,
    informers: Informers,
    runtime: DockerRuntime,
    *,
    bridge: str,
    cluster_cidr: str = "",
) -> AsyncIterator[Kubelet]:
    """A kubelet to be run; the caller runs the informers. What it made stays when this ends, so that the next takes it over."""
    machine = n.read_machine(options.root_dir)
    Path(options.root_dir).mkdir(parents=True, exist_ok=True)
    driver = await _driver(runtime)
    if runtime.restrictions():
        logger.warning(runtime.restrictions())
    recorder = Recorder(client, options.hostname_override, system_now)
    cluster = APICluster(client, recorder, informers.informer(core.Service))
    allocatable = n.allocatable(n.NodeFacts(options.hostname_override, options.node_ip, machine))
    volumes = VolumeManager(
        options.root_dir,
        cluster,
        system_now,
        host_ips=options.node_ip,
        cluster_domain=options.cluster_domain,
        allocatable=lambda: allocatable,
    )
    network = BridgeNetwork(options.root_dir, runtime.sandbox_pid, bridge=bridge, cluster_cidr=cluster_cidr)
    pod_cgroups = cgroups.PodCgroups(driver)
    top = cgroups.kubepods_settings(machine.cpus, allocatable["memory"].value(), pod_cgroups.unified)
    pod_cgroups.prepare(top)
    machinery = Machinery(
        runtime, network, volumes, RuntimeProber(runtime), pod_cgroups, network, volumes.known, runtime, volumes
    )
    kubelet = Kubelet(
        options,
        client,
        pod_informer(informers, options.hostname_override),
        None,
        machinery=machinery,
        cluster=cluster,
        recorder=recorder,
        machine=machine,
        clock=RealClock(),
    )
    async with AsyncExitStack() as stack:
        stack.callback(network.close)
        yield kubelet


async def _driver(runtime: DockerRuntime) -> str:
    """Docker's cgroup driver; waits for a daemon that does not answer yet."""
    said = ""
    while True:
        try:
            return await runtime.cgroup_driver()
        except RuntimeFailure as error:
            if str(error) != said:
                logger.warning("%s; waiting for it", error)
            said = str(error)
            await asyncio.sleep(1.0)


def host_name() -> str:
    return os.uname().nodename.lower()


def host_addresses() -> tuple[str, ...]:
    """The address that the default route leaves with; the loopback's where there is none."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: the kernel just chooses
        except OSError:
            return ("127.0.0.1",)
        return (str(probe.getsockname()[0]),)
