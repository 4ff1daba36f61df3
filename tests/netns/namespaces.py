"""Network namespaces as objects: what runs `inside` one sees its interfaces, sockets and iptables, child processes included."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def enter(descriptor: int) -> None:
    """Moves the calling thread, and what it starts from then on, into the namespace of an open file. OSError."""
    if _libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


@dataclass(frozen=True)
class Namespace:
    """A named network namespace."""

    name: str

    def inside(self, work: Callable[[], T]) -> T:
        """The result of `work`, run on a thread of its own that has entered the namespace."""
        results: list[T] = []
        errors: list[BaseException] = []

        def worked() -> None:
            try:
                descriptor = os.open(f"/var/run/netns/{self.name}", os.O_RDONLY)
                try:
                    enter(descriptor)
                finally:
                    os.close(descriptor)
                results.append(work())
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=worked)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    def run(self, command: str, check: bool = True) -> str:
        """Output of a shell command inside."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, "sh", "-c", command], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def socket(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        """A socket that lives inside, usable from anywhere."""
        return self.inside(lambda: socket.socket(family, kind))


@contextmanager
def created(word: str) -> Iterator[Namespace]:
    """A fresh namespace, gone afterwards."""
    namespace = Namespace(f"pyb-net-{os.getpid()}-{next(_numbers)}-{word}")
    subprocess.run(["ip", "netns", "add", namespace.name], check=True)
    try:
        namespace.run("ip link set lo up")
        yield namespace
    finally:
        subprocess.run(["ip", "netns", "del", namespace.name], check=True)
