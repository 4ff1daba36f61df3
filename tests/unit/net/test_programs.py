"""Programs that are run, and what is left of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import uvloop

from pybernetes.net.programs import PIECE, ProgramError, run


def test_input_and_output() -> None:
    text = "x" * (2 * PIECE + 1)
    assert asyncio.run(run(["cat"], text)) == text
    assert asyncio.run(run(["cat"], ["a", "b"])) == "a\nb\n"
    with pytest.raises(ProgramError, match=r"failed \(3\): no") as caught:
        asyncio.run(run(["sh", "-c", "echo no >&2; exit 3"]))
    assert caught.value.code == 3
    with pytest.raises(ProgramError, match="cannot be run"):
        asyncio.run(run(["/nonexistent/program"]))


@pytest.mark.parametrize("of_loop", [asyncio.run, uvloop.run])
def test_a_program_ends_with_who_waits_for_it(of_loop: object, tmp_path: Path) -> None:
    file = tmp_path / "pid"

    async def scenario() -> None:
        task = asyncio.ensure_future(run(["sh", "-c", f"echo $$ >{file}.new; mv {file}.new {file}; exec sleep 600"]))
        async with asyncio.timeout(60):
            while not file.exists():
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read_text()), 0)

    of_loop(scenario())  # type: ignore[operator]
