"""Flags of kube-apiserver about encryption at rest (upstream: apiserver/pkg/server/options/etcd.go)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.component.flags import Flag, Values

if TYPE_CHECKING:
    from ..encryption.provider import Encryption

FILE, RELOAD = "encryption-provider-config", "encryption-provider-config-automatic-reload"
FLAGS = (
    Flag(
        FILE, flags.string, "", "An EncryptionConfiguration: how values of which resources are encrypted in the store."
    ),
    Flag(RELOAD, flags.boolean, False, "Look at that file every minute, and take what is new in it."),
)


def made(values: Values) -> Encryption | None:
    """What the file says; not started. None without one. UsageError."""
    path = values[FILE]
    if not path:
        if values[RELOAD]:
            raise UsageError(f"--{RELOAD} must be set with --{FILE}")
        return None
    from pybernetes.aio.clock import RealClock

    from ..configdocument import DocumentError
    from ..encryption.metrics import EncryptionMetrics
    from ..encryption.provider import Encryption

    try:
        return Encryption(path, values[RELOAD], EncryptionMetrics(socket.gethostname()), RealClock())
    except DocumentError as error:
        raise UsageError(f"--{FILE}={path}: {error}") from error
