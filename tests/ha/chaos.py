"""python -m tests.ha.chaos --minutes 30 --seed 1: random faults of a whole cluster, judged as those of tests/etcd/faults: is every answer one
that a single store could have given, was no acknowledged write lost, were watchers told of everything once and in order?

Half an hour needs some 4 GB of memory, most of it the hosts' files. Each minute a line says how it goes; what was seen is judged and told
also where it ends early: by SIGINT, SIGTERM, or since the cluster does not become well after a fault (which is a problem, too). The seed is
in the first line and the last.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from pybernetes.pki.certificates import Authority
from tests.etcd.faults.clients import Recorder, now
from tests.etcd.faults.cluster import Cluster as Judged
from tests.etcd.faults.history import Kind, Outcome
from tests.etcd.faults.hosts import Host as Place
from tests.etcd.faults.processes import Process
from tests.etcd.faults.run import Report, judge
from tests.etcd.faults.run import load as judged_load
from tests.hosts import Host, lan, unable

from . import cluster as clusters
from .cluster import ADDRESSES, ENDPOINT, MASTERS, PROGRAMS, VIRTUAL, Cluster, must
from .faults import cut, frozen, killed, processes
from .load import enter_lan, prepared

_log = logging.getLogger(__name__)

LONGEST_SECONDS, REST_SECONDS = 8.0, 4.0
PROGRESS_SECONDS = 60.0
PROBLEMS_SHOWN = 20
# Hosts have their files in memory: of a log that has become longer than this the first part goes.
CUT_LOGS = "find /var/log/units /var/log/containers /var/log/dockerd.log -type f -size +16M -exec truncate -s 0 {} + 2>/dev/null"
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


@dataclass
class Chaos:
    """One run; `pauses`: by fault the longest times without an acknowledged write, each from the fault until all was well again."""

    cluster: Cluster
    members: Members
    seed: int
    report: Report = field(default_factory=Report)
    pauses: dict[str, list[float]] = field(default_factory=dict)
    kills: int = 0
    unwell: str = ""  # what did not become well again after a fault: no further one is done

    async def run(self, headers: Sequence[tuple[str, str]], seconds: float) -> None:
        """Faults by dice, one at a time, and all is well in between; then it is judged."""
        dice, ended = random.Random(f"{self.seed}.faults"), asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        try:
            async with judged_load(self.members, self.seed, headers) as recorder:
                begun = told = now()
                while now() - begun < seconds and not ended.is_set() and not self.unwell:
                    await self._one(choose(dice), recorder)
                    self.report.seconds = now() - begun
                    await asyncio.sleep(dice.uniform(0, REST_SECONDS))
                    if now() - told > PROGRESS_SECONDS:
                        told = now()
                        await asyncio.to_thread(self._keep_small)
                        _log.info("%.0f of %.0f s: %s", told - begun, seconds, self._so_far(recorder))
        except TimeoutError:  # there is no whole history to judge
            self.report.problems = [
                self.unwell or "in the end the cluster took no write, or watchers were not told of it"
            ]
            return
        _log.info("judging %s", self._so_far(recorder))
        await asyncio.to_thread(judge, self.members, recorder, self.report)
        self.report.kills = self.kills  # those who judge know of none
        if self.unwell:
            self.report.problems.insert(0, self.unwell)

    async def _one(self, fault: Fault, recorder: Recorder) -> None:
        host, begun = self.cluster.masters[fault.number], now()
        _log.info("%s: %s for %.1f s", host.name, fault, fault.seconds)
        self.report.faults[str(fault)] += 1
        if fault.deed is killed:
            self.kills += len(processes(host, fault.programs))
        with ExitStack() as stack:
            await asyncio.to_thread(stack.enter_context, fault.deed(host, fault.programs))
            await asyncio.sleep(fault.seconds)
            await asyncio.to_thread(stack.close)
        try:
            await asyncio.to_thread(self.cluster.settle)
        except AssertionError as error:
            self.unwell = f"after {fault} on {host.name}: {error}"
        self.pauses.setdefault(str(fault), []).append(longest_pause(recorder, begun, now()))

    def _keep_small(self) -> None:
        for host in (*self.cluster.masters, *self.cluster.workers):
            host(CUT_LOGS)

    def _so_far(self, recorder: Recorder) -> str:
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * 4 // 1024
        return f"{self.report.faults.total()} faults, {len(recorder.operations)} operations, {resident} MB here"

    def summary(self) -> str:
        """What there was, what each fault cost, and what was wrong."""
        lines = [str(self.report), "longest times without an acknowledged write, by fault (median, worst):"]
        for name, each in sorted(self.pauses.items()):
            lines.append(f"  {name:<45} {len(each):>3} times {statistics.median(each):6.1f} {max(each):6.1f} s")
        shown = self.report.problems[:PROBLEMS_SHOWN]
        more = len(self.report.problems) - len(shown)
        return "\n".join([*lines, *shown, *([f"and {more} more"] if more else []), f"seed {self.seed}"])


def longest_pause(recorder: Recorder, begun: float, ended: float) -> float:
    """Seconds without an acknowledged write between two moments."""
    moments = [begun]
    for one in reversed(recorder.operations):  # in the order of their ends
        if one.returned < begun:
            break
        if one.kind is not Kind.GET and one.outcome is Outcome.DONE:
            moments.append(one.returned)
    return max(after - before for before, after in pairwise(sorted([*moments, ended])))


def play(cluster: Cluster, folder: Path, seed: int, seconds: float) -> Chaos:
    """On the calling thread, which stays in the hosts' network."""
    load = prepared(cluster)
    chaos = Chaos(cluster, Members(cluster, folder), seed)
    enter_lan()
    asyncio.run(chaos.run(load.headers(), seconds))
    return chaos


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
            chaos = play(made, Path(scratch), chosen.seed, chosen.minutes * 60)
    print(chaos.summary())
    return bool(chaos.report.problems)


if __name__ == "__main__":
    sys.exit(main())
