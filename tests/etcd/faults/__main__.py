"""python -m tests.etcd.faults --minutes 15 --seed 1"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from pathlib import Path

from .cluster import cluster
from .hosts import CAN_CUT, WHY_NOT, loopback, namespaces
from .plan import LONGEST_SECONDS
from .run import with_faults

MEMBERS = ("etcd0", "etcd1", "etcd2")
SERVERS = ("api0", "api1", "api2")


def main() -> int:
    """1 where anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.etcd.faults")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--longest", type=float, default=LONGEST_SECONDS, help="seconds of one fault")
    parser.add_argument("--no-cuts", action="store_true", help="all on loopback, as without root")
    parser.add_argument("--keep", type=Path, help="a folder for the logs of all parts")
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(relativeCreated)7d ms %(message)s")
    cuts = CAN_CUT and not chosen.no_cuts
    print(f"seed {chosen.seed}" + ("" if cuts else f"; {WHY_NOT or 'nobody is cut off'}"), flush=True)

    async def run(folder: Path) -> int:
        async with cluster(folder, hosts) as running:
            report = await with_faults(running, chosen.seed, chosen.minutes * 60, cuts=cuts, longest=chosen.longest)
        print(report)
        print("\n".join(report.problems[:20]), end="\n" if report.problems else "")
        return bool(report.problems)

    with (namespaces if cuts else loopback)([*MEMBERS, *SERVERS]) as hosts, tempfile.TemporaryDirectory() as scratch:
        folder = scratch if chosen.keep is None else chosen.keep / time.strftime("%H%M%S")
        Path(folder).mkdir(parents=True, exist_ok=True)
        return asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    sys.exit(main())
