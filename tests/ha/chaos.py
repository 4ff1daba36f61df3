"""python -m tests.ha.chaos --minutes 30 --seed 1: random faults of a whole cluster, judged as those of tests/etcd/faults: is every answer one
that a single store could have given, was no acknowledged write lost, were watchers told of everything once and in order?"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pybernetes.pki.certificates import Authority
from tests.etcd.faults.clients import now
from tests.etcd.faults.cluster import Cluster as Judged
from tests.etcd.faults.hosts import Host as Place
from tests.etcd.faults.processes import Process
from tests.etcd.faults.run import Report, judge
from tests.etcd.faults.run import load as judged_load
from tests.hosts import Host, lan, unable

from . import cluster as clusters
from .cluster import ADDRESSES, ENDPOINT, MASTERS, PROGRAMS, VIRTUAL, Cluster, must
from .faults import cut, frozen, killed
from .load import enter_lan, prepared

_log = logging.getLogger(__name__)

LONGEST_SECONDS, REST_SECONDS = 8.0, 4.0
TARGETS: Sequence[tuple[str, ...]] = (
    (),  # the whole host
    ("etcd",),
    ("kube-apiserver",),
    ("nginx", "keepalived"),
    ("nginx",),
    ("keepalived",),
    ("kube-controller-manager", "kube-scheduler"),
)
DEEDS: Sequence[Callable[[Host, Sequence[str]], AbstractContextManager[None]]] = (killed, frozen, cut)
CAN_BE_CUT = frozenset({(), ("etcd",), ("nginx", "keepalived")})


@dataclass(frozen=True)
class Fault:
    """For `seconds`; `number` of master says where."""

    deed: Callable[[Host, Sequence[str]], AbstractContextManager[None]]
    programs: tuple[str, ...]
    number: int
    seconds: float

    def __str__(self) -> str:
        return f"{' and '.join(self.programs) or 'master'} {self.deed.__name__}"


def choose(dice: random.Random) -> Fault:
    """The next one."""
    programs = dice.choice(TARGETS)
    deed = dice.choice([deed for deed in DEEDS if deed is not cut or programs in CAN_BE_CUT])
    return Fault(deed, programs, dice.randrange(len(MASTERS)), dice.uniform(1, LONGEST_SECONDS))


class Members(Judged):
    """The cluster as those know it who judge: its API servers, at the virtual address and each at its own, and etcdctl."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        places = [Place("virtual", VIRTUAL), *(Place(host.name, host.address) for host in cluster.masters)]
        ports = [int(ENDPOINT.rpartition(":")[2]), *(6443 for _ in cluster.masters)]
        servers = [Process(place, port, (), folder / "none") for place, port in zip(places, ports, strict=True)]
        members = [Process(place, 2379, (), folder / "none") for place in places[1:]]
        for file, path in (
            ("ca.crt", "ca.crt"),
            ("etcd.crt", "etcd/ca.crt"),
            ("client.crt", "etcd/healthcheck-client.crt"),
            ("client.key", "etcd/healthcheck-client.key"),
        ):
            (folder / file).write_text(must(cluster.masters[0], f"cat /etc/kubernetes/pki/{path}"))
        nobody = Authority.create("signs nothing", datetime.now(UTC))
        super().__init__(folder, members, servers, nobody)

    def control_command(self, endpoints: Sequence[Process] = ()) -> list[str]:
        urls = ",".join(member.url for member in endpoints or self.members)
        files = (("cacert", "etcd.crt"), ("cert", "client.crt"), ("key", "client.key"))
        return ["etcdctl", f"--endpoints={urls}", *(f"--{flag}={self.folder / file}" for flag, file in files)]


async def with_faults(
    cluster: Cluster, members: Members, headers: Sequence[tuple[str, str]], seed: int, seconds: float
) -> Report:
    """Faults by dice, one at a time, and all is well in between."""
    dice, report = random.Random(f"{seed}.faults"), Report()
    async with judged_load(members, seed, headers) as recorder:
        begun = now()
        while now() - begun < seconds:
            fault = choose(dice)
            host = cluster.masters[fault.number]
            _log.info("%s: %s for %.1f s", host.name, fault, fault.seconds)
            report.faults[str(fault)] += 1
            with ExitStack() as stack:
                await asyncio.to_thread(stack.enter_context, fault.deed(host, fault.programs))
                await asyncio.sleep(fault.seconds)
                await asyncio.to_thread(stack.close)
            await asyncio.to_thread(cluster.settle)
            await asyncio.sleep(dice.uniform(0, REST_SECONDS))
        report.seconds = now() - begun
    await asyncio.to_thread(judge, members, recorder, report)
    return report


def play(cluster: Cluster, folder: Path, seed: int, seconds: float) -> Report:
    """On the calling thread, which stays in the hosts' network."""
    load = prepared(cluster)
    members = Members(cluster, folder)
    enter_lan()
    return asyncio.run(with_faults(cluster, members, load.headers(), seed, seconds))


def main() -> int:
    """1 where anything was wrong, 2 where it cannot be tried."""
    parser = argparse.ArgumentParser(prog="python -m tests.ha.chaos")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    chosen = parser.parse_args()
    if reason := unable(PROGRAMS):
        print(reason, file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms %(message)s")
    print(f"seed {chosen.seed}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "hosts").mkdir()
        with lan(Path(scratch, "hosts"), ADDRESSES) as hosts:
            began = time.monotonic()
            made = clusters.build(hosts)
            print(f"built in {time.monotonic() - began:.0f} s", flush=True)
            report = play(made, Path(scratch), chosen.seed, chosen.minutes * 60)
    print(report)
    print("\n".join(report.problems[:20]), end="\n" if report.problems else "")
    return bool(report.problems)


if __name__ == "__main__":
    sys.exit(main())
