"""Cgroups of pods: processes, and what a pod states as a whole.

The kind: limits that are accepted and set nowhere. Inputs beside a limit of processes and a pod's limits: v2, a machine or a
driver that cannot count processes (refused), a pod whose containers have fewer limits than itself, init steps, overhead.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import config
from pybernetes.kubelet.node.cgroups import CannotLimit, PodCgroups, PodLimits, pod_limits


def amounts(**by_name: str) -> dict[str, Quantity]:
    return {name: Quantity.parse(text) for name, text in by_name.items()}


def needs(
    requests: dict[str, Quantity] | None = None, limits: dict[str, Quantity] | None = None
) -> core.ResourceRequirements:
    return core.ResourceRequirements(requests=requests or {}, limits=limits or {})


def pod(*containers: core.ResourceRequirements, whole: core.ResourceRequirements | None = None) -> core.Pod:
    made = core.Pod(spec=core.PodSpec(resources=whole))
    made.metadata.uid = "u"
    made.spec.containers = [core.Container(name=f"c{n}", resources=each) for n, each in enumerate(containers)]
    return made


@pytest.mark.parametrize(
    ("made", "limits"),
    [
        (pod(needs()), PodLimits(2, 0, 0)),
        (pod(needs(limits=amounts(cpu="1", memory="64Mi")), needs()), PodLimits(1024, 0, 0)),
        (
            pod(needs(), needs(), whole=needs(limits=amounts(cpu="1", memory="64Mi"))),
            PodLimits(1024, 100_000, 64 << 20),
        ),
        (
            pod(needs(amounts(cpu="100m")), whole=needs(amounts(cpu="2"), amounts(memory="64Mi"))),
            PodLimits(2048, 0, 64 << 20),
        ),
    ],
)
def test_what_a_pod_states_as_a_whole_counts(made: core.Pod, limits: PodLimits) -> None:
    assert pod_limits(made) == limits


def test_a_pods_memory_is_its_containers_as_well() -> None:
    whole = needs(amounts(memory="400Mi"))
    made = pod(needs(amounts(memory="100Mi")), needs(), whole=whole)
    scores = [config.oom_score_adj(made, container, 1000 << 20) for container in made.spec.containers]
    assert scores == [1000 - 250, 1000 - 150]  # each has half of the 300Mi that no container asks for


def hierarchy(root: Path, unified: bool, pids: bool) -> Path:
    """What a kernel would have; its files are plain ones, which must be there to be written."""
    if unified:
        (root / "cgroup.controllers").write_text("cpu memory pids\n" if pids else "cpu memory\n")
        (root / "kubepods/besteffort/podu").mkdir(parents=True)
        (root / "kubepods/besteffort/podu/pids.max").write_text("max\n")
        return root / "kubepods/besteffort/podu/pids.max"
    for controller in ("cpu", "memory", *(("pids",) if pids else ())):
        (root / controller / "kubepods/besteffort/podu").mkdir(parents=True)
    file = root / "pids/kubepods/besteffort/podu/pids.max"
    if pids:
        file.write_text("max\n")
    return file


@pytest.mark.parametrize("unified", [False, True])
@pytest.mark.parametrize(("asked", "written"), [(77, "77"), (-1, "max"), (0, "max")])
def test_processes_are_limited(tmp_path: Path, unified: bool, asked: int, written: str) -> None:
    file = hierarchy(tmp_path, unified, pids=True)
    asyncio.run(PodCgroups("cgroupfs", tmp_path, asked).ensure(pod(needs())))
    assert file.read_text().strip() == written


@pytest.mark.parametrize("unified", [False, True])
def test_a_limit_that_cannot_be_kept_is_refused(tmp_path: Path, unified: bool) -> None:
    hierarchy(tmp_path, unified, pids=False)
    with pytest.raises(CannotLimit, match="no cgroup controller for processes"):
        PodCgroups("cgroupfs", tmp_path, 10)
    with pytest.raises(CannotLimit, match="cgroup driver systemd"):
        PodCgroups("systemd", tmp_path, 10)
    PodCgroups("systemd", tmp_path)
