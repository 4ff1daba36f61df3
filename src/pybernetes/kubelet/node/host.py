"""What this machine has, from /proc, /sys and /etc (upstream: cadvisor's machine info)."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from ..machine.node import Machine

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # as Go's runtime.GOARCH


def _text(path: str) -> str:
    """A file without the white space around it; "" where it cannot be read, as in a container without DMI."""
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def read_machine(root_dir: str) -> Machine:
    """The machine's facts from /proc, /sys and /etc; what cannot be read is ""."""
    memory = next(
        (int(line.split()[1]) * 1024 for line in _text("/proc/meminfo").splitlines() if "MemTotal" in line), 0
    )
    where = Path(root_dir)
    while not where.exists():
        where = where.parent
    disk = os.statvfs(where)
    release = dict(line.split("=", 1) for line in _text("/etc/os-release").splitlines() if "=" in line)
    machine_id = _text("/etc/machine-id")
    return Machine(
        os.cpu_count() or 1,
        memory,
        disk.f_blocks * disk.f_frsize,
        machine_id,
        _text("/sys/class/dmi/id/product_uuid") or machine_id,
        _text("/proc/sys/kernel/random/boot_id"),
        platform.release(),
        release.get("PRETTY_NAME", "").strip('"'),
        ARCHITECTURES.get(platform.machine(), platform.machine()),
    )
