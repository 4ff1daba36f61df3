"""No acknowledged write is lost when the process is killed (`python -m tests.unit.store.crash 200` takes longer)."""

import asyncio
from pathlib import Path

from pybernetes.store.sqlite import SQLiteStore

from . import crash

TIMES = 10


def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    count, problems = crash.run(tmp_path, TIMES)
    assert problems == []
    assert count > TIMES


def test_a_lost_write_would_be_seen(tmp_path: Path) -> None:
    seen, path = crash.Seen(), str(tmp_path / "state.db")
    for line in ("want /registry/a x", "done /registry/a x 1", "want /registry/b y"):
        seen.line(line)

    async def main() -> list[str]:
        store = await SQLiteStore.open(path)
        await store.put("/registry/b", b"y")  # wanted, not acknowledged: may be there or not
        await store.close()
        return await crash.lost(path, {}, seen)

    assert asyncio.run(main()) == ["/registry/a is -, acknowledged was x"]
