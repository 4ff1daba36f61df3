"""One run: load, faults, and the judgement of what was seen."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import logging
import random
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .clients import HEADERS, NAMESPACE, PATH, Client, Recorder, Watcher, now
from .cluster import Cluster
from .doing import carry_out
from .events import Log, Told, back_problems, list_problems, lost_problems, watch_problems
from .history import Kind, Outcome
from .linearizability import register_problems, revision_problems, set_problems
from .plan import choose

_log = logging.getLogger(__name__)

CLIENTS, WATCHERS = 8, 3
REST_SECONDS = 2.0  # between faults, at the most
CALM_SECONDS = 120.0  # in the end, for all to answer and watchers to have everything
STORED = f"/registry/configmaps/{NAMESPACE}/"
LAST = "last"


@dataclass(slots=True)
class Report:
    """What there was, and what was wrong with it."""

    seconds: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    listings: int = 0
    events: int = 0
    relists: int = 0
    revisions: int = 0
    pause: float = 0.0  # the longest time without an acknowledged write
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        def shown(counter: Counter[str]) -> str:
            return ", ".join(f"{count} {name}" for name, count in sorted(counter.items()))

        return (
            f"{self.seconds:.0f} s, {sum(self.outcomes.values())} operations ({shown(self.outcomes)}), {self.listings} lists, "
            f"{self.revisions} events in etcd, {self.events} told to {WATCHERS} watchers with {self.relists} lists\n"
            f"answers: {shown(self.statuses)}\n"
            f"faults: {shown(self.faults)}; {self.kills} processes killed; longest time without an acknowledged write {self.pause:.1f} s\n"
            f"{len(self.problems)} problems"
        )


@asynccontextmanager
async def load(cluster: Cluster, seed: int, headers: Sequence[tuple[str, str]] = HEADERS) -> AsyncIterator[Recorder]:
    """Clients and watchers; in the end the clients stop, and the watchers have all that there is."""
    recorder = Recorder(cluster, seed, headers)
    watching: list[asyncio.Task[None]] = []
    try:
        answer = await _insist(recorder, "POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        assert answer in (201, 409), answer
        watching = [asyncio.create_task(Watcher(recorder, n).run()) for n in range(WATCHERS)]
        clients = [asyncio.create_task(Client(recorder, n).run()) for n in range(CLIENTS)]
        try:
            yield recorder
        finally:
            recorder.ended = True
            await asyncio.gather(*clients)
        await _insist(recorder, "POST", PATH, {"metadata": {"name": LAST}})
        await _settled(recorder)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await recorder.close()


async def _insist(recorder: Recorder, method: str, path: str, body: object) -> int:
    """Until it is done."""
    async with asyncio.timeout(CALM_SECONDS):
        while True:
            for http in recorder.https:
                with contextlib.suppress(OSError, TimeoutError):
                    answer = await http.request(method, path, recorder.headers, json.dumps(body).encode(), timeout=10)
                    if answer.status < 500 and answer.status != 404:
                        return answer.status
            await asyncio.sleep(0.2)


async def _settled(recorder: Recorder) -> None:
    def has_all(number: int) -> bool:
        """Also where the last thing was in a list."""
        mine = [one for one in recorder.watched if one.watcher == number]
        if not mine:
            return False
        if mine[-1].events and mine[-1].events[-1].key == LAST:
            return True
        return any(LAST in one.items for one in recorder.listings if one.revision == mine[-1].after and not one.prefix)

    async with asyncio.timeout(CALM_SECONDS):
        while not all(has_all(number) for number in range(WATCHERS)):
            await asyncio.sleep(0.1)


async def with_faults(cluster: Cluster, seed: int, seconds: float, *, cuts: bool, longest: float) -> Report:
    """Faults by dice while there is load."""
    dice, report = random.Random(f"{seed}.faults"), Report()
    async with load(cluster, seed) as recorder:
        begun = now()
        while now() - begun < seconds:
            fault = choose(dice, members=len(cluster.members), servers=len(cluster.servers), cuts=cuts, longest=longest)
            report.faults[f"{'member' if fault.member else 'API server'} {fault.what.value}"] += 1
            await carry_out(cluster, fault)
            await asyncio.sleep(dice.uniform(0, REST_SECONDS))
        report.seconds = now() - begun
    await asyncio.to_thread(judge, cluster, recorder, report)
    return report


def judge(cluster: Cluster, recorder: Recorder, report: Report) -> None:
    """Fills the report in."""
    log = Log(history_of(cluster))
    operations, listings, watched = recorder.operations, recorder.listings, recorder.watched
    report.statuses = recorder.statuses
    report.kills = sum(one.kills for one in (*cluster.members, *cluster.servers))
    report.outcomes = Counter(f"{one.kind.value} {one.outcome.value}" for one in operations)
    report.listings, report.revisions = len(listings), len(log.events)
    report.events, report.relists = sum(len(one.events) for one in watched), len(watched)
    writes = sorted(one.returned for one in operations if one.kind is not Kind.GET and one.outcome is Outcome.DONE)
    report.pause = max((after - before for before, after in itertools.pairwise(writes)), default=0.0)
    report.problems = [
        *recorder.surprises,
        *lost_problems(log, operations),
        *watch_problems(log, watched),
        *back_problems(watched),
        *list_problems(log, listings),
        *revision_problems(operations),
        *set_problems(operations, listings),
        *register_problems(operations),
    ]


def history_of(cluster: Cluster) -> list[Told]:
    """All that etcd has had, as etcdctl tells it: with none of our code."""
    command = [*cluster.control_command(), "watch", "--prefix", STORED, "--rev=1", "--write-out=json"]
    events: list[Told] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={"ETCDCTL_API": "3", "PATH": "/usr/bin:/bin"}) as told:
        assert told.stdout is not None
        try:
            for line in told.stdout:
                for event in json.loads(line)["Events"] or ():  # of an answer that only says that the watch was made
                    item = event["kv"]
                    key = base64.b64decode(item["key"]).decode().removeprefix(STORED)
                    events.append(Told(item["mod_revision"], key, event.get("type") == 1))
                if events and events[-1].key == LAST:
                    return events
        finally:
            told.kill()
    raise AssertionError("etcdctl has ended")
