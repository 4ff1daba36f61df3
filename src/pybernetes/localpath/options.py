"""local-path-provisioner's flags (ours: upstream's are those of a command that runs once in a cluster, with a file of nodes and paths)."""

from __future__ import annotations

import os
import socket

from pybernetes.component import flags
from pybernetes.component.clientflags import client_flags
from pybernetes.component.command import VERBOSITY, UsageError
from pybernetes.component.flags import Flag, Values

ROOT = "/opt/local-path-provisioner"  # upstream's

FLAGS = (
    Flag("node-name", flags.string, "", "The node's name, if it is not the host's."),
    Flag("root", flags.string, ROOT, "The directory below which volumes are made."),
    *client_flags(burst=10),
    VERBOSITY,
)


def node_name(values: Values) -> str:
    """Of the node whose claims are served."""
    return str(values["node-name"] or socket.gethostname()).strip().lower()


def root(values: Values) -> str:
    """UsageError for a path that is none to be used."""
    path = str(values["root"])
    if not path.startswith("/") or not path.strip("/") or os.path.normpath(path) != path.rstrip("/"):
        raise UsageError(f"--root={path}: want an absolute path without .. that is not the root of the file system")
    return path.rstrip("/")
