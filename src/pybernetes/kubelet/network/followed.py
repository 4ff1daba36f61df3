"""flannel's subnet.env as it is now, for a node whose pods' range is flannel's (upstream: loadFlannelSubnetEnv of the flannel CNI plugin)."""

from __future__ import annotations

from pathlib import Path

from pybernetes.net import subnetfile
from pybernetes.net.subnetfile import SubnetFile, SubnetFileError


class FollowedSubnetFile:
    """The file is read when its times, size or inode have changed, so that a look costs next to nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: SubnetFile | None = None  # the last that could be read: a file that goes takes nothing from pods
        self.problem = f"{path} is not there yet: does flanneld run?"
        self._seen: tuple[int, ...] = ()

    def changed(self) -> bool:
        """Whether `content` is new; `problem` says why there is none that counts."""
        try:
            status = self.path.stat()
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror or error}: does flanneld run?"
            self._seen = ()
            return False
        seen = (status.st_ino, status.st_mtime_ns, status.st_size)
        if seen == self._seen:
            return False
        try:
            content = subnetfile.load(self.path)
        except SubnetFileError as error:
            self.problem = str(error)
            return False
        self._seen = seen
        self.problem = "" if content.subnet is not None else f"{self.path} has no FLANNEL_SUBNET: pods here have IPv4"
        if content == self.content:
            return False
        self.content = content
        return True
