"""Kills an API server under load, again and again, and looks whether clients and watchers saw what they may see.

python -m tests.etcd.crash 200
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
from pathlib import Path

from .faults.cluster import Cluster, cluster
from .faults.hosts import loopback
from .faults.run import Report, judge, load

LONGEST_SECONDS = 0.7  # from the moment that it answers to the kill


async def crash(running: Cluster, times: int, seed: int) -> Report:
    """All but one at a time, whichever; they answer again before the next are killed."""
    dice, report = random.Random(seed), Report()
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with load(running, seed) as recorder:
        left = times
        while left > 0:
            group = dice.sample(list(running.servers), min(left, len(running.servers) - 1))
            left -= len(group)
            for server in group:
                await asyncio.sleep(dice.uniform(0, LONGEST_SECONDS / len(group)))
                await server.kill()
            await asyncio.gather(*(server.start() for server in group))
        report.seconds = loop.time() - begun
    report.faults["API server killed"] = times
    await asyncio.to_thread(judge, running, recorder, report)
    return report


async def run(folder: Path, times: int, seed: int, members: int = 1, servers: int = 3) -> Report:
    """On a cluster of its own."""
    names = [f"etcd{n}" for n in range(members)] + [f"api{n}" for n in range(servers)]
    with loopback(names) as hosts:
        async with cluster(folder, hosts, members) as running:
            return await crash(running, times, seed)


def main(arguments: list[str]) -> int:
    """1 where anything was wrong."""
    times = int(arguments[0]) if arguments else 200
    seed = int(arguments[1]) if len(arguments) > 1 else random.randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), times, seed))
    print(report)
    print("\n".join(report.problems[:20]), end="\n" if report.problems else "")
    return bool(report.problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
