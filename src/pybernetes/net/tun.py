"""TUN devices: IP packets of the kernel's as reads and writes (upstream: pkg/ip/tun.go; Linux' Documentation/networking/tuntap.rst)."""

from __future__ import annotations

import fcntl
import os
import struct
from dataclasses import dataclass

from .links import LinkError

DEVICE = "/dev/net/tun"
SET_INTERFACE = 0x400454CA  # TUNSETIFF
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NAME_BYTES, REQUEST_BYTES = 16, 40  # IFNAMSIZ, sizeof(struct ifreq)


@dataclass(frozen=True, slots=True)
class Tun:
    """Each read of the descriptor, which does not block, is a packet that leaves; each write is one that comes in. It goes with the descriptor."""

    descriptor: int
    name: str


def open_tun(pattern: str) -> Tun:
    """In the caller's network namespace; "flannel%d" is the first of flannel0, flannel1, ... that is free. LinkError."""
    try:
        descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise LinkError(f"failed to open TUN device: {DEVICE}: {error.strerror or error}") from error
    request = struct.pack(f"{NAME_BYTES}sH", pattern.encode(), IFF_TUN | IFF_NO_PI).ljust(REQUEST_BYTES, b"\0")
    try:
        answer = fcntl.ioctl(descriptor, SET_INTERFACE, request)
    except OSError as error:
        os.close(descriptor)
        raise LinkError(f"failed to open TUN device: {pattern}: {error.strerror or error}") from error
    return Tun(descriptor, answer[:NAME_BYTES].partition(b"\0")[0].decode())
