"""Runs the programs that change the kernel's network: iptables, and whatever has no other door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence


class ProgramError(Exception):
    """A program is missing, or refused; the text is its own. `code` is its exit code, 0 where it could not be run."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


async def run(command: Sequence[str], text: str = "") -> str:
    """The output of a program that succeeds. ProgramError otherwise."""
    pipe = asyncio.subprocess.PIPE
    # Input comes from a file in memory: a program that ends early cannot break the writing of it.
    given = os.memfd_create("input") if text else asyncio.subprocess.DEVNULL
    try:
        if text:
            with os.fdopen(os.dup(given), "wb") as file:
                file.write(text.encode())
                file.seek(0)
        process = await asyncio.create_subprocess_exec(*command, stdin=given, stdout=pipe, stderr=pipe)
    except OSError as error:
        raise ProgramError(f"{command[0]} cannot be run: {error.strerror}: is its package installed?") from error
    finally:
        if text:
            os.close(given)
    output, problems = await process.communicate()
    if process.returncode:
        said = problems.decode(errors="replace").strip()
        raise ProgramError(f"{' '.join(command)} failed ({process.returncode}): {said}", process.returncode)
    return output.decode()
