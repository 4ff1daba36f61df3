"""Compiles Python for the image, the same way each time.

What `marshal` writes depends on which strings happen to be shared in the process, and on the seed of hashes. So the work is
done by fresh interpreters with a fixed seed, which this file is for when it is run as a program.
"""

from __future__ import annotations

import importlib.util
import json
import marshal
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

WORKERS = 2  # fixed, since who compiles what must not depend on the machine

Item = tuple[str, str]  # a source file, and its path in the image


class CompileError(Exception):
    """A worker failed; its own words."""


def compile_all(items: Sequence[Item]) -> list[bytes]:
    """A .pyc for each, in order, which is never checked against its source (PEP 552). CompileError."""
    workers = [_start(items[number::WORKERS]) for number in range(WORKERS)]
    results: list[bytes] = [b""] * len(items)
    outputs = [worker.communicate() for worker in workers]
    for number, (worker, (output, problems)) in enumerate(zip(workers, outputs, strict=True)):
        if worker.returncode:
            raise CompileError(problems.decode(errors="replace").strip().rpartition("\n")[2])
        results[number::WORKERS] = _split(output)
    return results


def _start(items: Sequence[Item]) -> subprocess.Popen[bytes]:
    worker = subprocess.Popen(
        [sys.executable, "-S", "-s", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONHASHSEED": "0", "PATH": os.environ.get("PATH", "")},
    )
    assert worker.stdin is not None
    worker.stdin.write(json.dumps(list(items)).encode() + b"\n")
    worker.stdin.flush()
    return worker


def _split(data: bytes) -> list[bytes]:
    pieces, position = [], 0
    while position < len(data):
        end = position + 4 + int.from_bytes(data[position : position + 4], "big")
        pieces.append(data[position + 4 : end])
        position = end
    return pieces


def byte_code(source: Path, name: str) -> bytes:
    """The .pyc of one file; tracebacks will name it `name`."""
    text = source.read_bytes()
    code = marshal.dumps(compile(text, name, "exec", dont_inherit=True))
    unchecked = (0b01).to_bytes(4, "little")
    return importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(text) + code


def main() -> None:
    """The worker: a line of JSON in, length and bytes of each .pyc out."""
    for source, name in json.loads(sys.stdin.buffer.readline()):
        packed = byte_code(Path(source), name)
        sys.stdout.buffer.write(len(packed).to_bytes(4, "big") + packed)


if __name__ == "__main__":
    main()
