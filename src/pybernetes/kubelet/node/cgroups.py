"""The cgroups around containers: kubepods, its classes, and one for each pod (upstream: pkg/kubelet/cm)."""

from __future__ import annotations

import logging
import os
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from pybernetes.api import pods
from pybernetes.api.pods import ZERO
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core

from ..machine.config import MIN_QUOTA, cgroup_parent, cpu_shares, limits_whole_pod
from ..machine.defaults import CPU_PERIOD, USUAL, Defaults

logger = logging.getLogger(__name__)

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = (
    "cpu",
    "cpuset",
    "memory",
    "pids",
    "cpuacct",
    "blkio",
    "devices",
    "freezer",
    "hugetlb",
    "systemd",
    "unified",
)
UNIFIED_CONTROLLERS = "+cpu +cpuset +memory +pids +io"


@dataclass(frozen=True, slots=True)
class PodLimits:
    """What a pod's cgroup allows; 0 means no limit."""

    shares: int
    quota: int
    memory: int
    pids: int = 0
    period: int = CPU_PERIOD


class CannotLimit(Exception):
    """A limit that was asked for cannot be set on this machine."""


def pod_limits(pod: core.Pod, pids: int = 0, defaults: Defaults = USUAL) -> PodLimits:
    """What the pod states as a whole, or the sum of its containers; of the greatest step where that is more (ResourceConfigForPod).

    A resource is limited where the pod says so, or every one of its containers has a limit. `pids`: --pod-max-pids.
    """
    requests, limits = pods.requests(pod.spec), pods.limits(pod.spec)

    def limited(name: str) -> Quantity:
        return limits.get(name, ZERO) if limits_whole_pod(pod, name) else ZERO

    cpu = limited("cpu").milli_value()
    request = requests.get("cpu", limits.get("cpu", ZERO)).milli_value()
    quota = defaults.quota(cpu, MIN_QUOTA)
    return PodLimits(cpu_shares(request), quota, limited("memory").value(), max(pids, 0), defaults.cpu_period)


def weight(shares: int) -> int:
    """cgroup v2's cpu.weight of v1's shares, as runc converts them."""
    return 1 + (shares - 2) * 9999 // 262142


def settings(limits: PodLimits, unified: bool) -> dict[str, str]:
    """Files ("CONTROLLER/FILE", v2: "FILE") and their values."""
    if unified:
        return {
            "cpu.weight": str(weight(limits.shares)),
            "cpu.max": f"{limits.quota or 'max'} {limits.period}",
            "memory.max": str(limits.memory or "max"),
            "pids.max": str(limits.pids or "max"),
        }
    return {
        "cpu/cpu.shares": str(limits.shares),
        "cpu/cpu.cfs_period_us": str(limits.period),
        "cpu/cpu.cfs_quota_us": str(limits.quota or -1),
        "memory/memory.limit_in_bytes": str(limits.memory or -1),
        "pids/pids.max": str(limits.pids or "max"),
    }


class PodCgroups:
    """Implements interfaces.Cgroups with the cgroupfs driver. With systemd's the slices are Docker's to make, without pod limits."""

    def __init__(self, driver: str, root: Path = ROOT, pids: int = 0, defaults: Defaults = USUAL) -> None:
        """`pids`: how many processes a pod may have, 0 or less for any number. CannotLimit where that cannot be."""
        self._root, self._pids, self._defaults = root, pids, defaults
        self._mine = driver == "cgroupfs"
        self.unified = (root / "cgroup.controllers").exists()
        self._controllers = [name for name in CONTROLLERS if (root / name).is_dir()]
        if pids > 0 and not self._mine:
            raise CannotLimit(f"cgroup driver {driver}: whole pods have no limits there; let Docker use cgroupfs")
        if pids > 0 and not self._counts_processes():
            raise CannotLimit(f"this machine has no cgroup controller for processes (pids) below {root}")
        if not self._mine:
            logger.info("cgroup driver %s: limits are set for containers, not for whole pods", driver)

    def _counts_processes(self) -> bool:
        if self.unified:
            return "pids" in (self._root / "cgroup.controllers").read_text().split()
        return "pids" in self._controllers

    def paths(self, parent: str) -> list[Path]:
        """The directories of a cgroup, one for each hierarchy."""
        name = parent.strip("/")
        return [self._root / name] if self.unified else [self._root / c / name for c in self._controllers]

    async def ensure(self, pod: core.Pod) -> None:
        if self._mine:
            self._make(cgroup_parent(pod), settings(pod_limits(pod, self._pids, self._defaults), self.unified))

    def prepare(self, values: Mapping[str, Mapping[str, str]]) -> None:
        """The node's own: kubepods and its classes, by their names."""
        for name, files in values.items() if self._mine else ():
            self._make(name, files)

    def _make(self, parent: str, values: Mapping[str, str]) -> None:
        for path in self.paths(parent):
            for directory in [*reversed(path.relative_to(self._root).parents), path.relative_to(self._root)]:
                here = self._root / directory
                if here.is_dir():
                    continue
                here.mkdir(exist_ok=True)
                self._inherit(here)
        for name, value in values.items():
            controller, slash, file = name.partition("/")
            target = (
                self._root / controller / parent.strip("/") / file if slash else self._root / parent.strip("/") / name
            )
            if target.exists():
                target.write_text(value)

    def _inherit(self, directory: Path) -> None:
        """What a new cgroup needs before processes may be in it."""
        if self.unified:
            control = directory.parent / "cgroup.subtree_control"
            for word in UNIFIED_CONTROLLERS.split():
                try:
                    control.write_text(word)
                except OSError as error:
                    logger.debug("controller %s in %s: %s", word, directory.parent, error)
            return
        for name in ("cpuset.cpus", "cpuset.mems"):
            own, above = directory / name, directory.parent / name
            if own.exists() and not own.read_text().strip():
                own.write_text(above.read_text())

    async def remove(self, pod: core.Pod) -> None:
        if self._mine:
            remove_tree(self.paths(cgroup_parent(pod)))

    def keep_only(self, uids: Container[str]) -> None:
        """Removes the cgroups of pods that are no more."""
        for parent in ("kubepods", "kubepods/burstable", "kubepods/besteffort") if self._mine else ():
            for path in self.paths(parent):
                present = os.listdir(path) if path.is_dir() else []
                own = [name for name in present if name.startswith("pod") and name.removeprefix("pod") not in uids]
                remove_tree([path / name for name in own])


def remove_tree(paths: list[Path]) -> None:
    """Removes cgroups with what is below them; one with processes in it stays. What goes away meanwhile is no error."""
    for path in paths:
        for folder, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.debug("cgroup %s stays: %s", folder, error)


def kubepods_settings(milli_cpus: int, memory: int, unified: bool) -> dict[str, dict[str, str]]:
    """The top cgroup holds what is not reserved, the classes under it the least weight. Evictions come before its limit does."""
    shares = cpu_shares(milli_cpus)
    if unified:
        return {
            "kubepods": {"memory.max": str(memory or "max"), "cpu.weight": str(weight(shares))},
            "kubepods/burstable": {},
            "kubepods/besteffort": {"cpu.weight": "1"},
        }
    return {
        "kubepods": {"memory/memory.limit_in_bytes": str(memory or -1), "cpu/cpu.shares": str(shares)},
        "kubepods/burstable": {},
        "kubepods/besteffort": {"cpu/cpu.shares": "2"},
    }
