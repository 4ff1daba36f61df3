"""Tells systemd how a part is doing (sd_notify(3)): units of Type=notify wait for it (upstream: coreos/go-systemd/daemon)."""

from __future__ import annotations

import logging
import os
import socket

_log = logging.getLogger(__name__)

READY = "READY=1"


def notify(state: str) -> None:
    """Nothing where no service manager asked for it. What goes wrong is logged: the part is no worse for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = f"\0{address[1:]}"  # of the abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.connect(address)
            told.sendall(state.encode())
    except OSError as error:
        _log.error("Failed to notify systemd the message %s: %s", state, error.strerror or error)
