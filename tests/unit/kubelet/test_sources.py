"""Where a container's variables, mounts and its place in the kernel's list of victims come from, by tables.

The kinds: references whose name holds another's beginning were taken apart otherwise than Go does; keys that are no shell's names were
left out (upstream takes every key since 1.34); a resourceFieldRef to no container of the pod was answered for the own one; subPathExpr
took an empty value for one; a sidecar was killed before the containers that it serves, a system-node-critical pod as any other.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import config, status
from pybernetes.kubelet.runtime import dockerconfig as d
from pybernetes.kubelet.runtime.types import ContainerConfig, Device, Image, Mount, RuntimeFailure, SandboxConfig
from pybernetes.kubelet.volumes.manager import memory_size

from .test_config import make

GI = 1 << 30
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def q(text: str) -> Quantity:
    return Quantity.parse(text)


def environment(pod: core.Pod, data: dict[str, str] | None = None) -> dict[str, str]:
    found = core.ConfigMap(data=data or {})
    return config.environment(pod, pod.spec.containers[0], {}, lambda kind, name: found, (), (), {"cpu": q("2")}, {})


@pytest.mark.parametrize(
    ("key", "prefix", "name"),
    [
        ("a", "", "a"),
        ("1a", "", "1a"),
        ("a.b-c", "", "a.b-c"),
        ("0", "X_", "X_0"),
        ("..x", "", "..x"),
        ("1", "9", "91"),
    ],
)
def test_every_key_is_a_variable(key: str, prefix: str, name: str) -> None:
    source = core.EnvFromSource(prefix=prefix, config_map_ref=core.ConfigMapEnvSource(name="cm"))
    pod = make(env_from=[source], env=[core.EnvVar(name="Z", value=f"<$({name})>")])
    assert environment(pod, {key: "v"}) == {name: "v", "Z": "<v>"}


@pytest.mark.parametrize(
    ("container", "resource", "divisor", "value"),
    [
        ("", "limits.cpu", None, "2"),
        ("", "requests.memory", "1Mi", "0"),
        ("other", "limits.cpu", "1m", "250"),
        ("other", "limits.cpu", None, "1"),
        ("init", "requests.memory", "1Ki", "2"),
    ],
)
def test_resources_as_variables(container: str, resource: str, divisor: str | None, value: str) -> None:
    ref = core.ResourceFieldSelector(
        container_name=container, resource=resource, divisor=q(divisor) if divisor else None
    )
    pod = make(env=[core.EnvVar(name="V", value_from=core.EnvVarSource(resource_field_ref=ref))])
    limits = core.ResourceRequirements(limits={"cpu": q("250m")})
    pod.spec.containers.append(core.Container(name="other", resources=limits))
    asked = core.ResourceRequirements(requests={"memory": q("1025")})
    pod.spec.init_containers = [core.Container(name="init", resources=asked)]
    assert environment(pod) == {"V": value}


def test_resources_of_no_container() -> None:
    ref = core.ResourceFieldSelector(container_name="none", resource="limits.cpu")
    with pytest.raises(RuntimeFailure, match="container none not found") as caught:
        environment(make(env=[core.EnvVar(name="V", value_from=core.EnvVarSource(resource_field_ref=ref))]))
    assert caught.value.reason == config.CONFIG_ERROR


@pytest.mark.parametrize(
    ("expression", "path"),
    [("$(A)/x", "1/x"), ("x", "x"), ("$$(A)", "$(A)"), ("$(A)$(A)", "11"), ("..x/a..b", "..x/a..b")],
)
def test_sub_path_expressions(expression: str, path: str) -> None:
    assert config.sub_path(core.VolumeMount(sub_path_expr=expression), {"A": "1", "E": ""}) == path


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("$(B)", "missing value for B"),
        ("$(E)", "missing value for E"),
        ("$(X)/$(A)/$(B)", "missing value for B, X"),
        ("$(R)", "error SubPath `/r` must not be an absolute path"),
        ("a/$(U)", "unable to provision SubPath `a/../b`: must not contain '..'"),
    ],
)
def test_sub_path_expressions_that_are_none(expression: str, text: str) -> None:
    with pytest.raises(RuntimeFailure) as caught:
        config.sub_path(core.VolumeMount(sub_path_expr=expression), {"A": "1", "E": "", "R": "/r", "U": "../b"})
    assert (str(caught.value), caught.value.reason) == (text, config.CONFIG_ERROR)


def burstable(*memory: str) -> core.Pod:
    pod = make()
    pod.spec.containers = [
        core.Container(name=f"c{n}", resources=core.ResourceRequirements(requests={"memory": q(m)}))
        for n, m in enumerate(memory)
    ]
    return pod


@pytest.mark.parametrize(
    ("sidecar", "mains", "score"),
    [("0", ["512Mi"], 500), ("512Mi", ["0", "256Mi"], 500), ("0", ["256Mi", "512Mi"], 750), ("0", ["0"], 999)],
)
def test_a_sidecar_is_killed_no_sooner_than_what_it_serves(sidecar: str, mains: list[str], score: int) -> None:
    pod = burstable(*mains)
    own = core.ResourceRequirements(requests={"memory": q(sidecar), "cpu": q("1")})
    pod.spec.init_containers = [core.Container(name="s", restart_policy="Always", resources=own)]
    assert config.oom_score_adj(pod, pod.spec.init_containers[0], GI) == score


@pytest.mark.parametrize(
    ("priority", "score"), [(None, 1000), (2_000_000_000, 1000), (2_000_001_000, -997), (2_000_001_001, -997)]
)
def test_what_the_node_needs_is_killed_last(priority: int | None, score: int) -> None:
    pod = make()
    pod.spec.priority = priority
    assert config.oom_score_adj(pod, pod.spec.containers[0], GI) == score


@pytest.mark.parametrize(
    ("own", "of_pod", "size"),
    [(None, None, 4 * GI), ("1Gi", None, GI), (None, "2Gi", 2 * GI), ("3Gi", "2Gi", 2 * GI), ("0", "8Gi", 4 * GI)],
)
def test_memory_volumes_hold_no_more_than_the_pod_may_have(own: str | None, of_pod: str | None, size: int) -> None:
    pod = make(resources=core.ResourceRequirements(limits={"memory": q(of_pod)} if of_pod else {}))
    source = core.EmptyDirVolumeSource(medium="Memory", size_limit=q(own) if own else None)
    assert memory_size(pod, source, {"memory": q("4Gi")}) == size
    pod.spec.containers.append(core.Container(name="unlimited"))
    assert memory_size(pod, source, {}) == (q(own).value() if own else 0)


def test_images_and_devices_reach_docker() -> None:
    pod = make(
        volume_mounts=[
            core.VolumeMount(name="i", mount_path="/i", sub_path_expr="$(A)/x"),
            core.VolumeMount(name="e", mount_path="/e"),
        ]
    )
    pod.spec.volumes = [core.Volume(name="i", image=core.ImageVolumeSource(reference="r")), core.Volume(name="e")]
    mounts = config.image_mounts(pod, pod.spec.containers[0], {"i": Image("sha256:1", "r")}, {"A": "1"})
    assert mounts == [Mount("", "/i", True, image="sha256:1", image_path="1/x")]
    made = ContainerConfig("c", 0, "i", mounts=(*mounts, Mount("/h", "/h")), devices=(Device("/dev/loop7", "/dev/x"),))
    host = d.container_create(made, SandboxConfig("p", "ns", "u", 0, "p"), "s", "", 0, True)["HostConfig"]
    assert host["Binds"] == ["/h:/h"]
    options = {"ImageOptions": {"Subpath": "1/x"}}
    assert host["Mounts"] == [{"Type": "image", "Source": "sha256:1", "Target": "/i", "ReadOnly": True, **options}]
    assert host["Devices"] == [{"PathOnHost": "/dev/loop7", "PathInContainer": "/dev/x", "CgroupPermissions": "mrw"}]


def told(name: str, message: str) -> core.ContainerStatus:
    ended = core.ContainerState(terminated=core.ContainerStateTerminated(exit_code=1, message=message))
    return core.ContainerStatus(name=name, state=ended, last_state=ended)


@pytest.mark.parametrize(
    ("containers", "message", "kept"),
    [
        (1, "x" * 12288, 12288),
        (2, "x" * 12288, 6144),
        (4, "x" * 4096, 3072),
        (3, "x" * 4096, 4096),
        (8, "\u00e4" * 4000, 1536),
    ],
)
def test_messages_of_a_pod_share_twelve_kilobytes(containers: int, message: str, kept: int) -> None:
    """The kind: what is bounded for each container was not bounded for the pod. Letters stay whole."""
    pod = make()
    pod.spec.containers = [core.Container(name=f"c{n}") for n in range(containers)]
    pod.status.phase = "Failed"
    pod.status.container_statuses = [told(f"c{n}", message) for n in range(containers)]
    made = status.pod_status(pod, status.PodView({}, "docker"), NOW)
    for one in made.container_statuses:
        for state in (one.state, one.last_state):
            assert state.terminated is not None and len(state.terminated.message.encode()) <= kept
            assert len(state.terminated.message.encode()) > kept - 2


def test_statuses_stand_in_the_order_of_names_and_say_what_is_mounted() -> None:
    pod = make()
    mounts = [core.VolumeMount(name="v", mount_path="/v", read_only=True), core.VolumeMount(name="w", mount_path="/w")]
    pod.spec.containers = [core.Container(name=name, volume_mounts=mounts) for name in ("b", "a", "c")]
    pod.spec.init_containers = [core.Container(name=name) for name in ("z", "y")]
    made = status.pod_status(pod, status.PodView({}, "docker"), NOW)
    assert [one.name for one in made.container_statuses] == ["a", "b", "c"]
    assert [one.name for one in made.init_container_statuses] == ["z", "y"], "these stand as they run"
    assert made.container_statuses[0].volume_mounts == [
        core.VolumeMountStatus(name="v", mount_path="/v", read_only=True, recursive_read_only="Disabled"),
        core.VolumeMountStatus(name="w", mount_path="/w"),
    ]


def test_variables_that_double_each_other_are_refused() -> None:
    """The kind: bounded memory for every object. Thirty names were a gigabyte."""
    env = [core.EnvVar(name="V0", value="x" * 64)]
    env += [core.EnvVar(name=f"V{n}", value=f"$(V{n - 1})$(V{n - 1})") for n in range(1, 64)]
    with pytest.raises(RuntimeFailure, match="argument list too long") as caught:
        environment(make(env=env))
    assert caught.value.reason == config.CONFIG_ERROR
    assert len(environment(make(env=env[:12]))["V11"]) == 64 << 11


@pytest.mark.parametrize(
    "text", ["$(" * 100_000, "$(a" * 40_000 + ")", "$$" * 100_000, "$(a)" * 50_000 + "$(" * 50_000]
)
def test_references_cost_what_the_text_is_long(text: str) -> None:
    """No bracket closes, or only the last: what is looked at twice would be looked at for hours."""
    assert len(config.expand(text, {"a": "b"})) <= len(text)
