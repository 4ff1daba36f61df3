"""What KubeletConfiguration says of all containers of a node.

The kind: fields that were read and did nothing. Inputs beside each field's own: values out of upstream's bounds, profiles that a
container names itself, a period that is not the usual one, images in use.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.component import configfile, flags
from pybernetes.component.command import UsageError
from pybernetes.kubelet.configfields import CONFIGURATION
from pybernetes.kubelet.machine import config
from pybernetes.kubelet.machine.containers import BackOff
from pybernetes.kubelet.machine.defaults import Defaults
from pybernetes.kubelet.node.cgroups import pod_limits
from pybernetes.kubelet.options import FLAGS, KubeletOptions, kubelet_configuration
from pybernetes.kubelet.runtime import images
from pybernetes.kubelet.runtime.types import Image

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def options(**fields: Any) -> KubeletOptions:
    document = {"apiVersion": CONFIGURATION.api_version, "kind": CONFIGURATION.name, **fields}
    values = flags.parse("kubelet", FLAGS, [])
    return kubelet_configuration(configfile.merged(CONFIGURATION, FLAGS, values, document), "n", ["10.0.0.1"]).options


@pytest.mark.parametrize(
    ("fields", "defaults"),
    [
        ({}, Defaults()),
        ({"seccompDefault": True}, Defaults(seccomp=True)),
        ({"cpuCFSQuota": False}, Defaults(cpu_quota=False)),
        ({"cpuCFSQuotaPeriod": "20ms"}, Defaults(cpu_period=20_000)),
        ({"crashLoopBackOff": {"maxContainerRestartPeriod": "30s"}}, Defaults(crash_maximum=30.0)),
    ],
)
def test_fields(fields: dict[str, Any], defaults: Defaults) -> None:
    assert options(**fields).defaults == defaults


@pytest.mark.parametrize(
    ("fields", "log_options", "pulls"),
    [
        ({}, {}, 0),
        ({"containerLogMaxSize": "10Mi"}, {"max-size": "10485760", "max-file": "5"}, 0),
        ({"containerLogMaxSize": "1M", "containerLogMaxFiles": 2}, {"max-size": "1000000", "max-file": "2"}, 0),
        ({"serializeImagePulls": True}, {}, 1),
        ({"serializeImagePulls": False, "maxParallelImagePulls": 3}, {}, 3),
    ],
)
def test_logs_and_pulls(fields: dict[str, Any], log_options: dict[str, str], pulls: int) -> None:
    chosen = options(**fields)
    assert (chosen.log_options, chosen.parallel_pulls) == (log_options, pulls)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cpuCFSQuotaPeriod": "2s"}, "between 1ms and 1sec"),
        ({"cpuCFSQuotaPeriod": "10us"}, "between 1ms and 1sec"),
        ({"crashLoopBackOff": {"maxContainerRestartPeriod": "301s"}}, "between 1s and 300s"),
        ({"crashLoopBackOff": {"maxContainerRestartPeriod": "500ms"}}, "between 1s and 300s"),
        ({"containerLogMaxSize": "lots"}, "containerLogMaxSize: 'lots'"),
        ({"containerLogMaxSize": "-1Mi"}, "must be greater than 0"),
        ({"containerLogMaxSize": "1Mi", "containerLogMaxFiles": 1}, "must be greater than 1"),
    ],
)
def test_what_is_out_of_bounds(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        options(**fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"maxPods": "110"},
            "json: cannot unmarshal string into Go struct field KubeletConfiguration.maxPods of type int32",
        ),
        ({"maxPods": True}, "cannot unmarshal bool into Go struct field KubeletConfiguration.maxPods of type int32"),
        (
            {"maxPods": 1.5},
            "cannot unmarshal number 1.5 into Go struct field KubeletConfiguration.maxPods of type int32",
        ),
        ({"clusterDNS": "10.96.0.10"}, "want a list"),
        (
            {"rotateCertificates": "yes"},
            "cannot unmarshal string into Go struct field KubeletConfiguration.rotateCertificates of type bool",
        ),
        (
            {"systemReserved": ["cpu"]},
            "cannot unmarshal array into Go struct field KubeletConfiguration.systemReserved of type map[string]string",
        ),
        ({"evictionHard": "memory.available"}, "want an object: {memory.available: 100Mi}"),
        ({"registerWithTaints": {"key": "a"}}, "want a list of taints"),
        ({"registerWithTaints": [{"key": "a"}]}, "invalid taint spec: a=:"),
        ({"registerWithTaints": [{"key": "a", "effect": "Never"}]}, "invalid taint spec: a=:Never"),
    ],
)
def test_values_of_another_kind(fields: dict[str, Any], text: str) -> None:
    """The kind: Python's own texts for them ('str' object has no attribute 'items'), or that they were taken."""
    with pytest.raises(UsageError, match="--config=") as caught:
        options(**fields)
    assert text in str(caught.value)


def pod(profile: str = "") -> core.Pod:
    limits = core.ResourceRequirements(limits={"cpu": Quantity.parse("500m")})
    context = core.SecurityContext(seccomp_profile=core.SeccompProfile(type=profile)) if profile else None
    return core.Pod(
        spec=core.PodSpec(containers=[core.Container(name="c", resources=limits, security_context=context)])
    )


@pytest.mark.parametrize(
    ("profile", "default", "seccomp"),
    [
        ("", False, "unconfined"),
        ("", True, "runtime/default"),
        ("Unconfined", True, "unconfined"),
        ("RuntimeDefault", False, "runtime/default"),
    ],
)
def test_a_profile_for_who_names_none(profile: str, default: bool, seccomp: str) -> None:
    made = pod(profile)
    image = Image("i", "i")
    assert config.security(made, made.spec.containers[0], image, "", Defaults(seccomp=default)).seccomp == seccomp


@pytest.mark.parametrize(
    ("defaults", "quota", "period"),
    [
        (Defaults(), 50_000, 100_000),
        (Defaults(cpu_period=20_000), 10_000, 20_000),
        (Defaults(cpu_quota=False), 0, 100_000),
        (Defaults(cpu_period=1000), 1000, 1000),
    ],
)
def test_limits_of_processors(defaults: Defaults, quota: int, period: int) -> None:
    """Of a container and of its pod alike."""
    made = pod()
    resources = config.resources(made, made.spec.containers[0], 1 << 30, defaults)
    assert (resources.cpu_quota, resources.cpu_period) == (quota, period)
    whole = pod_limits(made, 0, defaults)
    assert (whole.quota, whole.period) == (quota, period)


@pytest.mark.parametrize(("maximum", "delays"), [(300.0, [10, 20, 40]), (15.0, [10, 15, 15]), (1.0, [1, 1, 1])])
def test_how_long_a_container_that_crashes_waits(maximum: float, delays: list[float]) -> None:
    back_off = BackOff(maximum)
    assert [back_off.next(NOW) for _ in delays] == delays


@pytest.mark.parametrize(
    ("days", "unused_for", "in_use", "goes"),
    [(0, 100, False, False), (7, 8, False, True), (7, 6, False, False), (7, 8, True, False)],
)
def test_images_that_nobody_used_for_long(days: int, unused_for: int, in_use: bool, goes: bool) -> None:
    then = NOW - timedelta(days=unused_for)
    record = images.ImageRecord(Image("i", "i"), then, then)
    policy = images.CollectionPolicy(maximum_age=timedelta(days=days))
    assert bool(images.too_old([record], {"i"} if in_use else set(), policy, NOW)) is goes


def test_images_are_pulled_one_at_a_time_where_that_is_asked_for() -> None:
    class Slow:
        now = most = 0

        async def pull_image(self, image: str, auth: str = "") -> Image:
            self.now += 1
            self.most = max(self.most, self.now)
            await asyncio.sleep(0)
            self.now -= 1
            return Image(image, image)

    async def most(at_once: int) -> int:
        runtime: Any = Slow()
        puller = images.ImagePuller(runtime, lambda name, namespace: asyncio.sleep(0), at_once)
        await asyncio.gather(*(puller.pull(core.Pod(), f"i{n}") for n in range(5)))
        return runtime.most

    assert [asyncio.run(most(n)) for n in (0, 1, 2)] == [5, 1, 2]
