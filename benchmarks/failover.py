"""Figures of a cluster of many hosts: from nothing, a node more, how long writes pause when something fails, memory of a host.

./bench failover; FAILOVER_RUNS says how often each failure is tried (20), FAILOVER_MINUTES for how long at the most (60): after that no
further round of them is begun, and `failover_runs` says how many there were. Needs what tests/ha needs.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from tests.ha import cluster as clusters
from tests.ha import load as loads
from tests.ha.cluster import ADDRESSES, DOCKER, KUBECTL, PROGRAMS, PYBERNETES, SPARE, Cluster, must, until
from tests.ha.faults import BALANCER, ETCD, FAULTS, MASTER, Target, processes
from tests.ha.load import Load, Seen
from tests.hosts import Host, lan, unable

from .figures import Figures

RUNS = int(os.environ.get("FAILOVER_RUNS", "20"))
LONGEST_MINUTES = float(os.environ.get("FAILOVER_MINUTES", "60"))
FAULT_SECONDS = 6.0  # longer than any pause is to be
LONGEST_SECONDS = 60.0  # for writes to go on at all
QUIET_SECONDS = 1.0
DOCKERS = {"dockerd", "containerd", "containerd-shim", "docker-init", "sshd"}  # as comm has it: 15 characters
MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ \S+ ([0-9a-f]+) \S+ [0-9]+ +(/.*)")

Fault = Callable[[Host, Sequence[str]], AbstractContextManager[None]]


def pause(cluster: Cluster, load: Load, target: Target, fault: Fault) -> float:
    """Seconds without an acknowledged write, from the fault on until writes go on."""
    cluster.settle()
    time.sleep(QUIET_SECONDS)
    host, since = cluster.etcd_leader() if target is ETCD else cluster.holder(), time.monotonic()
    with fault(host, target.programs):
        time.sleep(FAULT_SECONDS)
        flowing(load.writes)
        return load.writes.gap(since)


def flowing(seen: Seen) -> None:
    """Returns when something has been answered just now. TimeoutError."""
    begun = time.monotonic()
    while not seen.good or time.monotonic() - seen.good[-1] > QUIET_SECONDS:
        if time.monotonic() > begun + LONGEST_SECONDS:
            raise TimeoutError(f"no write for {LONGEST_SECONDS:.0f} s: {seen.bad[-3:]}")
        time.sleep(0.05)


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
    """MB of all its processes, pods' as well, but for Docker's: what they have for themselves, and once what they have of each file.

    The kernel's proportional sizes would not do: on this machine all hosts share the files of their programs, as real ones cannot.
    """
    anonymous, shared = 0, dict[tuple[str, str], int]()
    for pid in processes(host):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if Path(f"/proc/{pid}/comm").read_text().strip() in DOCKERS:
                continue
            more, files = sizes(Path(f"/proc/{pid}/smaps").read_text().splitlines())
            anonymous += more
            for place, size in files.items():
                shared[place] = max(size, shared.get(place, 0))
    return (anonymous + sum(shared.values())) / 1024


def sizes(lines: Iterable[str]) -> tuple[int, dict[tuple[str, str], int]]:
    """kB of a process's smaps: its share of anonymous memory; by (file, offset) what it has of files' pages."""
    anonymous, files = 0, defaultdict[tuple[str, str], int](int)
    place, resident, own = ("", ""), 0, 0
    for line in lines:
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            mapping = MAPPING.fullmatch(line)
            place = (mapping[2], mapping[1]) if mapping else ("", "")
        elif name == "Rss:":
            resident = int(rest.split()[0])
        elif name == "Pss:":
            own = int(rest.split()[0])
        elif name == "Anonymous:":
            copied = int(rest.split()[0])
            if place[0]:
                anonymous += copied
                files[place] += resident - copied
            else:
                anonymous += own
    return anonymous, files


def tell(text: str) -> None:
    """Progress, beside the figures."""
    print(f"# {text}", file=sys.stderr, flush=True)


def failures(cluster: Cluster, load: Load) -> Figures:
    """Rounds of each failure of each target, as many as are asked for and there is time for."""
    pauses, end = defaultdict[str, list[float]](list), time.monotonic() + LONGEST_MINUTES * 60
    rounds = 0
    while rounds < RUNS and (not rounds or time.monotonic() < end):
        rounds += 1
        for target in (MASTER, ETCD, BALANCER):
            for fault in FAULTS:
                name = f"failover_{target.name}_{fault.__name__}"
                pauses[name].append(pause(cluster, load, target, fault))
                tell(f"round {rounds} of {RUNS}: {name} {pauses[name][-1]:.2f} s")
    figures: Figures = {"failover_runs": (rounds, "times")}
    for name, each in pauses.items():
        figures[f"{name}_median"] = (statistics.median(each), "s")
        figures[f"{name}_worst"] = (max(each), "s")
    return figures


def measure(folder: Path) -> Figures:
    """In hosts of their own."""
    figures: Figures = {}
    with lan(folder, ADDRESSES) as hosts:
        cluster = clusters.build(hosts)
        figures["ha_cluster_from_nothing"] = (cluster.took["all"], "s")
        tell(f"built in {cluster.took['all']:.1f} s")
        figures["ha_node_joined"] = (joined(cluster), "s")
        clusters.serve(cluster)
        with loads.running(loads.prepared(cluster)) as load:
            time.sleep(10 * QUIET_SECONDS)
            figures["ha_memory_master"] = (memory(cluster.masters[0]), "MB")
            figures["ha_memory_worker"] = (memory(cluster.workers[0]), "MB")
            figures |= failures(cluster, load)
            if lost := load.lost(cluster):
                raise RuntimeError(f"{len(lost)} acknowledged writes are lost, {lost[0]} among them")
    return figures


def main() -> Figures:
    """RuntimeError where it cannot be measured."""
    if reason := unable(PROGRAMS):
        raise RuntimeError(reason)
    with tempfile.TemporaryDirectory(prefix="pybernetes-bench-") as folder:
        return measure(Path(folder))
