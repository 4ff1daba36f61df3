"""Runs the programs that change the kernel's network: iptables, and whatever has no other door."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import IO

PIECE = 1 << 20  # characters


class ProgramError(Exception):
    """A program is missing, or refused; the text is its own. `code` is its exit code, 0 where it could not be run."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


async def run(command: Sequence[str], text: str | Iterable[str] = "") -> str:
    """The output of a program that succeeds; its input is the text, or lines without their ends. ProgramError otherwise."""
    with await run_to_file(command, text) as output:
        return output.read()


async def run_to_file(command: Sequence[str], text: str | Iterable[str] = "") -> IO[str]:
    """As `run`, for output that is read line by line; the caller closes it."""
    # Both ends are files in memory: a program that ends early cannot break the writing, and nothing large is held twice.
    output = os.fdopen(os.memfd_create("output"), "w+", errors="replace")
    try:
        given = _input(text) if text else None
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=given if given is not None else asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            raise ProgramError(f"{command[0]} cannot be run: {error.strerror}: is its package installed?") from error
        finally:
            if given is not None:
                given.close()
        try:
            _, problems = await process.communicate()
        except BaseException:
            # Cancelled: what a program does to the kernel it does whole or not at all.
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
            raise
        if process.returncode:
            said = problems.decode(errors="replace").strip()
            raise ProgramError(f"{' '.join(command)} failed ({process.returncode}): {said}", process.returncode)
        output.seek(0)
    except BaseException:
        output.close()
        raise
    return output


def _input(text: str | Iterable[str]) -> IO[str]:
    file = os.fdopen(os.memfd_create("input"), "w+")
    if isinstance(text, str):
        for start in range(0, len(text), PIECE):  # what is written at once is there twice
            file.write(text[start : start + PIECE])
    else:
        file.writelines(f"{line}\n" for line in text)
    file.seek(0)
    return file
