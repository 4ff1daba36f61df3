"""What `up` puts into the data directory, and that other users of the machine do not read it."""

from __future__ import annotations

from pathlib import Path

from pybernetes import files

from .credentials import CERTIFICATES, USERS
from .layout import Layout

# A purge removes nothing else, whatever --data-dir was given.
OWN = ("kubelet", "images", "local-path")  # whole folders
OWN_FILES = (
    *(f"{user}.conf" for user in USERS),
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "state.db-lock",
    "state.db-reserve",
    "supervisor.json",
    "supervisor.lock",
    "up.lock",
    "*.new",
    "logs/*.log",
    "logs/*.log.1",
    *(f"pki/{name}.{kind}" for name in CERTIFICATES for kind in ("crt", "key")),
    "pki/sa.key",
    "pki/sa.pub",
    "pki/*.new",
)
PUBLIC = (".crt", ".pub")  # nothing in them is secret, and the directory is closed


def make(layout: Layout) -> None:
    """The directory itself, closed to others. OSError."""
    files.make_private_directory(layout.root)


def close_to_others(layout: Layout) -> str:
    """Takes what rights other users have on it, and says so in a line; "" where they had none. OSError.

    Pods' volumes are left alone: their modes are what pods asked for, and the kubelet closes the directory above them.
    """
    directories = [layout.pki, layout.logs]
    if layout.root.is_dir() and files.is_our_own(layout.root, (*OWN, layout.pki.name, layout.logs.name)):
        directories.insert(0, layout.root)
    changed = files.close_to_others(directories)
    own = {path for pattern in OWN_FILES for path in layout.root.glob(pattern)} | {layout.settings}
    changed += files.close_to_others(sorted(path for path in own if path.suffix not in PUBLIC))
    if not changed:
        return ""
    return (
        f"{len(changed)} files and directories of {layout.root} were readable by other users of this machine and are "
        f"no longer: {', '.join(_shown(path, layout.root) for path in changed)}"
    )


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path != root else "the directory itself"
