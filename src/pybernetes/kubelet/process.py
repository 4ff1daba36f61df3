"""One kubelet on this machine, put together (upstream: cmd/kubelet/app/server.go)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from pybernetes.aio.clock import RealClock
from pybernetes.api.types import core_v1 as core
from pybernetes.client.types import Client, Informers
from pybernetes.files import close_to_others, is_our_own, make_private_directory
from pybernetes.net.addresses import outward_address

from .app import Kubelet, host_resolver, node_informer, pod_informer, whole_seconds
from .cluster import APICluster
from .interfaces import PodNetwork, Runtime
from .machine import dns, reservation
from .machine import node as n
from .machinery import Machinery
from .network.delegated import RuntimeNetwork
from .node import cgroups
from .node.host import read_machine
from .options import KubeletOptions
from .prober import RuntimeProber
from .recorder import Recorder
from .runtime.types import RuntimeFailure
from .volumes.manager import VolumeManager

logger = logging.getLogger(__name__)

ROOT_MODE = 0o750
ROOT_DIRECTORIES = ("pods", "network", "pki", "seccomp", "plugins", "plugins_registry", "device-plugins", "checkpoints")


async def assemble(
    runtime: Runtime,
    options: KubeletOptions,
    client: Client,
    informers: Informers,
    network: PodNetwork | None = None,
) -> Kubelet:
    """A kubelet of this machine, to be run; waits for a runtime that does not answer yet. The caller runs the informers.

    Without a network of the kubelet's own the runtime makes the pods'. What a kubelet has made stays when it ends, so that
    the next takes it over; runtime and network are the caller's to close. CannotLimit where --pod-max-pids cannot be kept to.
    """
    machine = read_machine(options.root_dir)
    make_root_directory(Path(options.root_dir))
    runtime_name, driver = await _answered(runtime)
    if runtime.restrictions():
        logger.warning(runtime.restrictions())
    recorder = Recorder(client, options.hostname_override)
    cluster = APICluster(client, recorder, informers.informer(core.Service), RealClock())
    facts = n.NodeFacts(options.hostname_override, options.node_ip, machine)
    pods_share = reservation.allocatable(n.capacity(facts), options.reserved, {})
    allocatable = reservation.allocatable(n.capacity(facts), options.reserved, options.evictions.hard)
    volumes = VolumeManager(
        options.root_dir,
        cluster,
        whole_seconds(RealClock()),
        host_ips=options.node_ip,
        cluster_domain=options.cluster_domain,
        allocatable=lambda: allocatable,
    )
    pod_cgroups = cgroups.PodCgroups(driver, pids=options.pod_max_pids, defaults=options.defaults)
    share = pods_share["cpu"].milli_value(), pods_share["memory"].value()
    pod_cgroups.prepare(cgroups.kubepods_settings(*share, pod_cgroups.unified))
    return Kubelet(
        options,
        client,
        pod_informer(informers, options.hostname_override),
        node_informer(informers, options.hostname_override),
        None,
        machinery=Machinery(
            runtime, network or RuntimeNetwork(), volumes, RuntimeProber(runtime), pod_cgroups, runtime_name
        ),
        cluster=cluster,
        recorder=recorder,
        machine=machine,
        clock=RealClock(),
    )


async def _answered(runtime: Runtime) -> tuple[str, str]:
    """The runtime's name and cgroup driver, once it answers."""
    said, clock = "", RealClock()
    while True:
        try:
            name, _ = await runtime.version()
            return name, await runtime.cgroup_driver()
        except RuntimeFailure as error:
            if str(error) != said:
                logger.warning("%s; waiting for it", error)
            said = str(error)
            await clock.sleep(1.0)


def make_root_directory(root: Path) -> None:
    """--root-dir, with mode 0750 as upstream: pods' Secrets lie below. One that is there is closed to others if it is ours."""
    make_private_directory(root, ROOT_MODE)
    if is_our_own(root, ROOT_DIRECTORIES) and close_to_others([root], 0o777 & ~ROOT_MODE):
        logger.warning("%s was open to other users of this machine and is no longer", root)


def pod_resolver(options: KubeletOptions) -> Callable[[core.Pod], dns.Resolver]:
    """What is in the resolv.conf of each pod."""
    cluster, host = dns.Cluster(options.cluster_dns, options.cluster_domain), host_resolver(options.resolv_conf)
    return lambda pod: dns.limited(dns.resolver(pod, cluster, host))[0]


def host_name() -> str:
    return os.uname().nodename.lower()


def host_addresses() -> tuple[str, ...]:
    """The address that the default route leaves with; the loopback's where there is none."""
    return (outward_address() or "127.0.0.1",)
