"""What this host is in a cluster, kept in a file: since `init` or `join` began, until `reset` ends it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pybernetes.deploy.configuration import KUBERNETES_DIR
from pybernetes.deploy.types import Arg
from pybernetes.files import make_private_directory
from pybernetes.pki.files import write

FOLDER = Path(f"{KUBERNETES_DIR}/pybernetes")
FILE, PROGRAMS = FOLDER / "host.json", FOLDER / "programs.json"
INIT, JOIN = "init", "join"


class HostState(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    """`command` is what began, `complete` whether it came to its end; `daemons` are those that it started, `run_with` says how.

    `static_pods`: its control plane is run by its kubelet, and all else by `run_with`.
    `kubelet_extra_args`: this host's alone (nodeRegistration.kubeletExtraArgs), which the cluster does not know.
    """

    command: str
    run_with: str
    node_name: str
    address: str
    control_plane: bool = False
    complete: bool = False
    static_pods: bool = False
    daemons: list[str] = []
    kubelet_extra_args: list[Arg] = []


class StateError(Exception):
    """A file that cannot be read; says which."""


def load() -> HostState | None:
    """None: this host is in no cluster of ours. StateError, OSError."""
    try:
        return msgspec.json.decode(FILE.read_bytes(), type=HostState)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise StateError(f"{FILE} cannot be read: {error}; `pybernetes reset` cleans the host") from error


def save(state: HostState) -> None:
    """In one step. OSError."""
    make_private_directory(FOLDER)
    write(FILE, msgspec.json.format(msgspec.json.encode(state)) + b"\n")
