"""Kills a process that writes to a store, at random moments, and looks whether everything acknowledged is there.

python -m tests.unit.store.crash 200
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pybernetes.store.sqlite import SQLiteStore
from pybernetes.store.types import Compacted

WRITERS = 8
KEYS = 10  # of each writer
LONGEST_SECONDS = 0.3  # from the first acknowledged write to the kill
COMPACT_EVERY = 200  # revisions
MAX_VALUE = 3500  # bytes: a line of output is then written at once, whole
GONE = "-"


async def write(path: str, seed: int) -> None:
    """Writes without end. Tells on stdout what it is about to do, and what was acknowledged."""
    store, chance = await SQLiteStore.open(path), random.Random(seed)

    def tell(*words: object) -> None:
        os.write(1, (" ".join(map(str, words)) + "\n").encode())

    async def writer(number: int) -> None:
        for count in range(1_000_000):
            key = f"/registry/core/things/{number}-{chance.randrange(KEYS)}"
            current = next(iter((await store.list(key, limit=1)).items), None)
            if current is not None and chance.random() < 0.2:
                tell("want", key, GONE)
                event = await store.delete(key, current.mod_revision)
                assert event is not None
                tell("done", key, GONE, event.revision)
                continue
            value = f"{seed}.{number}.{count}." + "x" * chance.randrange(MAX_VALUE)
            tell("want", key, value)
            written = await store.put(key, value.encode(), current.mod_revision if current else 0)
            tell("done", key, value, written.mod_revision)
            if number == 0 and written.mod_revision % COMPACT_EVERY < WRITERS:
                with contextlib.suppress(Compacted):  # by the round before
                    await store.compact(written.mod_revision - COMPACT_EVERY // 2)

    await asyncio.gather(*(writer(n) for n in range(WRITERS)))


@dataclass
class Seen:
    """What a writer has told."""

    wanted: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    count: int = 0

    def line(self, text: str) -> None:
        """One line of its output."""
        word, key, value, *revision = text.split(" ")
        if word == "want":
            self.wanted[key] = value
            return
        self.acknowledged[key] = value
        self.wanted.pop(key, None)
        self.revision = max(self.revision, int(revision[0]))
        self.count += 1


def crash(path: str, seed: int) -> Seen:
    """One writer, killed."""
    chance, seen = random.Random(-seed), Seen()
    command = [sys.executable, "-m", "tests.unit.store.crash", "--write", path, str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdout is not None
        output = bytearray(process.stdout.readline())
        with contextlib.suppress(subprocess.TimeoutExpired):
            # The pipe is read meanwhile, so that the writer never waits for it.
            out, _ = process.communicate(timeout=chance.random() * LONGEST_SECONDS)
            raise AssertionError(f"the writer ended by itself: {out!r}")
        process.kill()
        output += process.communicate()[0]
    whole, _, _ = output.rpartition(b"\n")
    for line in whole.decode().split("\n"):
        seen.line(line)
    return seen


async def lost(path: str, expected: dict[str, str], seen: Seen) -> list[str]:
    """What is not as it was acknowledged. `expected` has the state before, and is brought up to date."""
    store, problems = await SQLiteStore.open(path), []
    try:
        if await store.revision() < seen.revision:
            problems.append(f"revision {await store.revision()} is before the acknowledged {seen.revision}")
        found = {item.key: item.value.decode() for item in (await store.list("/registry/")).items}
    finally:
        await store.close()
    for key in {**expected, **seen.acknowledged, **seen.wanted, **found}:
        is_now = found.get(key, GONE)
        last = seen.acknowledged.get(key, expected.get(key, GONE))
        if is_now != last and is_now != seen.wanted.get(key):
            problems.append(f"{key} is {is_now[:40]}, acknowledged was {last[:40]}")
    expected.clear()
    expected.update(found)
    return problems


def run(folder: Path, times: int, first: int = 1) -> tuple[int, list[str]]:
    """(acknowledged writes, what was lost of them) over so many crashes of one file."""
    path, expected, problems, count = str(folder / "state.db"), dict[str, str](), list[str](), 0
    for seed in range(first, first + times):
        seen = crash(path, seed)
        count += seen.count
        problems += [f"crash {seed}: {text}" for text in asyncio.run(lost(path, expected, seen))]
    return count, problems


def main(arguments: list[str]) -> int:
    """The writer, or the whole test."""
    if arguments[:1] == ["--write"]:
        asyncio.run(write(arguments[1], int(arguments[2])))
        return 0
    times = int(arguments[0]) if arguments else 200
    with tempfile.TemporaryDirectory() as folder:
        count, problems = run(Path(folder), times, first=random.randrange(1 << 30))
    print(f"{times} crashes, {count} acknowledged writes, {len(problems)} lost")
    print("\n".join(problems), end="\n" if problems else "")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
