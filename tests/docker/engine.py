"""The Docker engine of the tests: DOCKER_HOST, or the usual socket."""

from __future__ import annotations

import os
import socket

DEFAULT = "unix:///var/run/docker.sock"


def endpoint() -> str:
    return os.environ.get("DOCKER_HOST") or DEFAULT


def socket_path() -> str:
    return endpoint().removeprefix("unix://")


def unavailable() -> str:
    """Why these tests cannot run here, "" where they can."""
    if os.geteuid() != 0:
        return "needs root: pods get network interfaces and mounts"
    if not endpoint().startswith("unix://"):
        return f"DOCKER_HOST={endpoint()} is no unix socket on this machine"
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(socket_path())
        except OSError as error:
            return f"no Docker engine answers at {endpoint()}: {error.strerror}"
    return ""
