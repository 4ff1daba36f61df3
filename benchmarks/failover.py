"""Figures of a cluster of many hosts: from nothing, a node more, how long writes pause when something fails, memory of a host.

./bench failover; FAILOVER_RUNS says how often each failure is tried (20). Needs what tests/ha needs.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from tests.ha import cluster as clusters
from tests.ha import load as loads
from tests.ha.cluster import ADDRESSES, DOCKER, KUBECTL, PROGRAMS, PYBERNETES, SPARE, Cluster, must, until
from tests.ha.faults import BALANCER, ETCD, FAULTS, MASTER, Target, processes
from tests.ha.load import Load
from tests.hosts import Host, lan, unable

from .cluster import pss
from .figures import Figures

RUNS = int(os.environ.get("FAILOVER_RUNS", "20"))
FAULT_SECONDS = 6.0  # longer than any pause is to be
QUIET_SECONDS = 1.0
DOCKERS = {"dockerd", "containerd", "containerd-shim-runc-v2", "sshd"}

Fault = Callable[[Host, Sequence[str]], AbstractContextManager[None]]


def pause(cluster: Cluster, load: Load, target: Target, fault: Fault) -> float:
    """Seconds without an acknowledged write."""
    cluster.settle()
    time.sleep(QUIET_SECONDS)
    host, since = cluster.etcd_leader() if target is ETCD else cluster.holder(), time.monotonic()
    with fault(host, target.programs):
        time.sleep(FAULT_SECONDS)
        return load.writes.gap(since)


def joined(cluster: Cluster) -> float:
    """Seconds from the command until the node is Ready, with an image that is there."""
    spare = cluster.hosts[SPARE]
    must(spare, DOCKER)
    must(spare, f"mkdir -p {clusters.IMAGES} && cp {spare.folder.parent}/images/* {clusters.IMAGES}")
    began = time.monotonic()
    must(spare, f"{PYBERNETES} {cluster.joining} --run-with=systemd 2>&1")
    until(cluster.masters[0], f"{KUBECTL} get node {SPARE}", " Ready")
    return time.monotonic() - began


def memory(host: Host) -> float:
    """MB of all its daemons but Docker's, and of pods."""
    total = 0.0
    for pid in processes(host):
        if Path(f"/proc/{pid}/comm").read_text().strip() not in DOCKERS:
            total += pss(pid)
    return total


def measure(folder: Path) -> Figures:
    """In hosts of their own."""
    figures: Figures = {}
    with lan(folder, ADDRESSES) as hosts:
        cluster = clusters.build(hosts)
        figures["ha_cluster_from_nothing"] = (cluster.took["all"], "s")
        figures["ha_node_joined"] = (joined(cluster), "s")
        clusters.serve(cluster)
        with loads.running(loads.prepared(cluster)) as load:
            time.sleep(10 * QUIET_SECONDS)
            figures["ha_pss_master"] = (memory(cluster.masters[0]), "MB")
            figures["ha_pss_worker"] = (memory(cluster.workers[0]), "MB")
            for target in (MASTER, ETCD, BALANCER):
                for fault in FAULTS:
                    pauses = [pause(cluster, load, target, fault) for _ in range(RUNS)]
                    name = f"failover_{target.name}_{fault.__name__}"
                    figures[f"{name}_median"] = (statistics.median(pauses), "s")
                    figures[f"{name}_worst"] = (max(pauses), "s")
    return figures


def main() -> Figures:
    """RuntimeError where it cannot be measured."""
    if reason := unable(PROGRAMS):
        raise RuntimeError(reason)
    with tempfile.TemporaryDirectory(prefix="pybernetes-bench-") as folder:
        return measure(Path(folder))
