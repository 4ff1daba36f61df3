"""Network namespaces that outlive their sandbox until DEL is done, by a mount each (upstream: containerd's pkg/netns).

A plugin undoes what it finds in the namespace: of one that is gone with its processes, CNI's own `bridge` leaves rules behind.
And a path of /proc may be another process's by then; this one is the sandbox's alone.
"""

from __future__ import annotations

import errno
from pathlib import Path

from ...volumes import mount

DIRECTORY = "/var/run/netns"  # where also `ip netns` looks
PREFIX = "cni-"


class PinnedNamespaces:
    """Blocking, but short. OSError."""

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._directory = Path(directory)

    def path(self, sandbox_id: str) -> str:
        """Where it is, or will be."""
        return str(self._file(sandbox_id))

    def _file(self, sandbox_id: str) -> Path:
        return self._directory / f"{PREFIX}{sandbox_id}"

    def is_pinned(self, sandbox_id: str) -> bool:
        """A file without a mount is what a restart of the machine may leave."""
        try:
            return self._file(sandbox_id).stat().st_dev != self._directory.stat().st_dev
        except FileNotFoundError:
            return False

    def pin(self, sandbox_id: str, namespace: str) -> None:
        """The namespace of a path such as /proc/PID/ns/net; repeatable."""
        file = self._file(sandbox_id)
        if self.is_pinned(sandbox_id):
            if file.samefile(namespace):
                return
            self.unpin(sandbox_id)
        self._directory.mkdir(0o755, parents=True, exist_ok=True)
        file.touch(0o444)
        mount.bind(namespace, file)

    def unpin(self, sandbox_id: str) -> None:
        """One that is gone is no error."""
        file = self._file(sandbox_id)
        while self.is_pinned(sandbox_id):
            try:
                mount.unmount(str(file))
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOENT):
                    raise
                break
        file.unlink(missing_ok=True)
