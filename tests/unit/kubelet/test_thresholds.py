"""What a node keeps back from pods, and when it lets pods go for its own sake.

The kind: settings that were taken and did nothing (evictionSoft and what belongs to it, systemReserved, kubeReserved), so that
pods were given memory that the machine needs itself. Inputs beside them: percentages, reserved processors, nothing left,
soft and hard thresholds of one signal, a minimum reclaim, a shortage that ends before its grace does.
"""

from __future__ import annotations

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.component import flags
from pybernetes.component.command import UsageError
from pybernetes.kubelet.machine import eviction, reservation
from pybernetes.kubelet.machine import node as n
from pybernetes.kubelet.machine.thresholds import CONDITIONS, Amount, Threshold, Watched, met, thresholds
from pybernetes.kubelet.options import FLAGS, kubelet_configuration

MEMORY, DISK = "memory.available", "nodefs.available"
MIB = 1 << 20


def _facts(*arguments: str) -> n.NodeFacts:
    options = kubelet_configuration(flags.parse("kubelet", FLAGS, arguments), "n", ["10.0.0.1"]).options
    machine = n.Machine(4, 4096 * MIB, 61202244 << 10)
    return n.NodeFacts(
        "n",
        ("10.0.0.1",),
        machine,
        reserved=options.reserved,
        eviction_hard=options.evictions.hard,
        pods_per_core=options.pods_per_core,
    )


@pytest.mark.parametrize(
    ("arguments", "allocatable"),
    [
        # The disk's is what a real kubelet of that size shows: a tenth is Go's float32.
        ((), {"cpu": "4", "memory": "3996Mi", "ephemeral-storage": "56403987978", "pods": "110"}),
        (("--system-reserved=cpu=500m,memory=512Mi",), {"cpu": "3500m", "memory": "3484Mi"}),
        (("--kube-reserved=cpu=200m", "--system-reserved=cpu=300m"), {"cpu": "3500m"}),
        (("--reserved-cpus=0-1,3", "--kube-reserved=cpu=200m"), {"cpu": "1"}),
        (("--kube-reserved=ephemeral-storage=1Gi",), {"ephemeral-storage": str(56403987978 - (1 << 30))}),
        (("--eviction-hard=memory.available<25%",), {"memory": "3Gi", "ephemeral-storage": "61202244Ki"}),
        (("--eviction-hard=memory.available<0%",), {"memory": "4Gi"}),
        (
            ("--eviction-hard=memory.available<1Gi", "--merge-default-eviction-settings"),
            {"memory": "3Gi", "ephemeral-storage": "56403987978"},
        ),
        (("--system-reserved=memory=9Gi",), {"memory": "0"}),
        (("--pods-per-core=10",), {"pods": "40"}),
        (("--pods-per-core=100",), {"pods": "110"}),
    ],
)
def test_what_is_left_for_pods(arguments: tuple[str, ...], allocatable: dict[str, str]) -> None:
    left = n.allocatable(_facts(*arguments))
    assert {name: str(left[name]) for name in allocatable} == allocatable


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("--system-reserved=cpus=1", 'cannot reserve "cpus" resource'),
        ("--kube-reserved=memory=lots", 'failed to parse quantity "lots" for "memory" resource'),
        ("--kube-reserved=cpu=-1", 'resource quantity for "cpu" cannot be negative: -1'),
        ("--reserved-cpus=3-1", 'invalid range "3-1"'),
        ("--reserved-cpus=0-999999999", "999999999 is no processor"),
        ("--reserved-cpus=a", "invalid syntax"),
        (
            "--eviction-soft=memory.available<1Gi",
            "grace period must be specified for the soft eviction threshold memory",
        ),
        ("--eviction-hard=memory.available<0", "eviction threshold memory.available must be positive: 0"),
        ("--eviction-hard=nodefs.available<101%", "must be <= 100%"),
        ("--eviction-hard=nodefs.available<-1%", "must be >= 0%"),
        ("--eviction-hard=nodefs.available<x%", 'parsing "x": invalid syntax'),
        ("--eviction-soft-grace-period=memory.free=1m", "unrecognized eviction signal memory.free"),
        ("--eviction-soft-grace-period=memory.available=-1m", "must be a positive value"),
        ("--eviction-minimum-reclaim=memory.available=-1", "negative eviction minimum reclaim specified for memory"),
        ("--eviction-minimum-reclaim=memory.available=0%", "must be positive: 0%"),
        ("--eviction-minimum-reclaim=memory.available=inf%", 'parsing "inf": value out of range'),
        ("--eviction-minimum-reclaim=memory.available=1e300%", 'parsing "1e300": value out of range'),
        ("--eviction-hard=nodefs.available<nan%", 'parsing "nan": value out of range'),
        ("--node-lease-duration-seconds=0", "it must be greater than 0"),
    ],
)
def test_amounts_that_are_none_are_refused_in_upstreams_words(argument: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        kubelet_configuration(flags.parse("kubelet", FLAGS, [argument]), "n", ["10.0.0.1"])
    assert text in str(caught.value)


HARD = Threshold(MEMORY, "100Mi")
SOFT = Threshold(MEMORY, "500Mi", 90.0)
RECLAIM = Threshold(DISK, "10%", 0.0, "5%")


def seen(*looks: tuple[float, int], among: tuple[Threshold, ...] = (HARD, SOFT)) -> Watched:
    """After looks at (time, MiB of memory that is there)."""
    watched = Watched()
    for now, available in looks:
        watched = watched.seen(among, {MEMORY: Amount(available * MIB, 4096 * MIB)}, now)
    return watched


@pytest.mark.parametrize(
    ("looks", "evicts", "pressed"),
    [
        (((0, 1000),), (), False),
        (((0, 400),), (), True),  # its grace has not passed, and the node is under pressure already
        (((0, 400), (89, 400)), (), True),
        (((0, 400), (90, 400)), (SOFT,), True),
        (((0, 400), (60, 600), (90, 400)), (), True),  # it begins anew
        (((0, 50),), (HARD,), True),
        (((0, 50), (90, 50)), (HARD, SOFT), True),
        (((0, 50), (10, 1000)), (), True),  # for the transition period
        (((0, 50), (10, 1000), (300, 1000)), (), False),
    ],
)
def test_soft_thresholds_wait_for_their_grace(
    looks: tuple[tuple[float, int], ...], evicts: tuple[Threshold, ...], pressed: bool
) -> None:
    watched = seen(*looks)
    assert watched.met == evicts
    assert watched.pressure(looks[-1][0], 300.0) == (("MemoryPressure",) if pressed else ())


def test_without_a_transition_period_a_condition_ends_with_the_shortage() -> None:
    assert seen((0, 50)).pressure(0, 0.0) == ("MemoryPressure",)
    assert seen((0, 50), (10, 1000)).pressure(10, 0.0) == ()


def test_a_minimum_reclaim_is_to_be_reached_once_a_threshold_was_met() -> None:
    watched = Watched()
    for available, evicts in ((120, ()), (90, (RECLAIM,)), (120, (RECLAIM,)), (150, ()), (120, ())):
        watched = watched.seen((RECLAIM,), {DISK: Amount(available, 1000)}, 0.0)
        assert watched.met == evicts, available


def test_everything_and_nothing_are_no_thresholds() -> None:
    assert thresholds({MEMORY: "0%", DISK: "100%"}, {"pid.available": "0%"}, {}, {}) == ()
    assert met((HARD,), {}) == ()  # nothing is known of the signal
    assert set(eviction.RESOURCES) == set(CONDITIONS)


@pytest.mark.parametrize(
    ("threshold", "own", "most", "grace"),
    [(HARD, 30, 60, 1), (SOFT, 30, 60, 30), (SOFT, 90, 60, 60), (SOFT, None, 60, 60), (SOFT, 30, 0, 0)],
)
def test_how_long_a_pod_has(threshold: Threshold, own: int | None, most: int, grace: int) -> None:
    pod = core.Pod(spec=core.PodSpec(termination_grace_period_seconds=own))
    assert eviction.eviction_grace(threshold, pod, most) == grace


def test_the_message_names_who_uses_more_than_it_asked_for() -> None:
    pod = core.Pod()
    requests = core.ResourceRequirements(requests={"memory": Quantity.parse("64Mi")})
    pod.spec.containers = [core.Container(name="a", resources=requests), core.Container(name="b")]
    used = {"a": 60 * MIB, "b": 70000 << 10}
    text = eviction.shortage_message(HARD, Amount(99 * MIB, 4096 * MIB), pod, used)
    assert text == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 99Mi. "
        "Container b was using 70000Ki, request is 0, has larger consumption of memory. "
    )
    inodes = eviction.shortage_message(Threshold("nodefs.inodesFree", "5%"), Amount(1024, 65536), pod, {})
    assert inodes == "The node was low on resource: inodes. Threshold quantity: 3276, available: 1024. "


@pytest.mark.parametrize(("text", "cpus"), [("", set()), ("0", {0}), ("0-2,7", {0, 1, 2, 7}), ("1,1-1", {1})])
def test_lists_of_processors(text: str, cpus: set[int]) -> None:
    assert reservation.cpus_of(text) == cpus
