"""Which pods the node takes, and which it lets go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.pods import SYSTEM_CRITICAL
from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import admission, eviction
from pybernetes.kubelet.machine.admission import NodeView
from pybernetes.kubelet.node.cgroups import PodLimits, kubepods_settings, pod_limits, settings
from pybernetes.kubelet.runtime import images
from pybernetes.kubelet.runtime.types import Image, RuntimeFailure

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NODE = NodeView(
    {"zone": "a"}, {"cpu": Quantity.parse("2"), "memory": Quantity.parse("1Gi"), "pods": Quantity.parse("3")}, name="n"
)


def make(cpu: str = "", memory: str = "", **spec: object) -> core.Pod:
    amounts = {name: Quantity.parse(text) for name, text in (("cpu", cpu), ("memory", memory)) if text}
    pod = core.Pod(spec=core.PodSpec(**spec))  # type: ignore[arg-type]  # any field
    resources = core.ResourceRequirements(requests=amounts)
    pod.spec.containers = pod.spec.containers or [core.Container(name="c", image="i", resources=resources)]
    return pod


def with_port(port: int) -> core.Pod:
    return make(containers=[core.Container(name="c", ports=[core.ContainerPort(container_port=1, host_port=port)])])


@pytest.mark.parametrize(
    ("pod", "others", "reason"),
    [
        (make(), [], None),
        (make("3"), [], "OutOfcpu"),
        (make("1", "512Mi"), [make("1", "600Mi")], "OutOfmemory"),
        (make(), [make(), make(), make()], "OutOfpods"),
        (make(node_selector={"zone": "b"}), [], "NodeAffinity"),
        (make(node_selector={"zone": "a"}), [], None),
        (with_port(80), [with_port(80)], "NodePorts"),
        (with_port(80), [with_port(81)], None),
        (
            make(security_context=core.PodSecurityContext(sysctls=[core.Sysctl(name="kernel.msgmax", value="1")])),
            [],
            "SysctlForbidden",
        ),
    ],
)
def test_admission(pod: core.Pod, others: list[core.Pod], reason: str | None) -> None:
    refusal = admission.refused(pod, others, NODE)
    assert (refusal[0] if refusal else None) == reason


GPU = core.ResourceRequirements(requests={"example.com/gpu": Quantity.parse("2")})


@pytest.mark.parametrize(
    ("offered", "reason"), [(None, None), ("0", "OutOfexample.com/gpu"), ("1", "OutOfexample.com/gpu"), ("2", None)]
)
def test_extended_resources_count_where_the_node_knows_of_them(offered: str | None, reason: str | None) -> None:
    amounts = {**NODE.allocatable, **({} if offered is None else {"example.com/gpu": Quantity.parse(offered)})}
    node = NodeView(NODE.labels, amounts, name="n")
    refusal = admission.refused(make(containers=[core.Container(name="c", resources=GPU)]), [], node)
    assert (refusal[0] if refusal else None) == reason


def test_refusals_in_todays_words() -> None:
    taint = core.Taint(key="k", effect="NoExecute")
    labelled = make()
    labelled.metadata.labels["kubernetes.io/os"] = "windows"
    node = NodeView(NODE.labels, NODE.allocatable, (taint,), name="n")
    assert [
        admission.refused(make(node_selector={"zone": "b"}), [], NODE),
        admission.refused(with_port(80), [with_port(80)], NODE),
        admission.refused(make(), [], node),
        admission.refused(labelled, [], NODE),
        admission.refused(make(os=core.PodOS(name="windows")), [], NODE),
    ] == [
        ("NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"),
        ("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"),
        ("TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"),
        (
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        ("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"),
    ]


def test_the_refusal_names_amounts() -> None:
    refusal = admission.refused(make("3"), [make("1")], NODE)
    assert refusal == ("OutOfcpu", "Node didn't have enough resource: cpu, requested: 3000, used: 1000, capacity: 2000")


def test_under_memory_pressure_only_best_effort_pods_stay_out() -> None:
    node = NodeView({}, NODE.allocatable, pressure=("MemoryPressure",))
    assert admission.refused(make(), [], node) == ("Evicted", "The node had condition: [MemoryPressure]. ")
    assert admission.refused(make("1"), [], node) is None


@pytest.mark.parametrize(
    ("key", "effect", "pressure", "taken"),
    [
        ("node.kubernetes.io/memory-pressure", "NoSchedule", ("MemoryPressure",), True),
        ("node.kubernetes.io/memory-pressure", "", ("MemoryPressure",), True),
        ("", "", ("MemoryPressure",), True),
        ("node.kubernetes.io/disk-pressure", "NoSchedule", ("MemoryPressure",), False),
        ("node.kubernetes.io/memory-pressure", "NoExecute", ("MemoryPressure",), False),
        ("node.kubernetes.io/memory-pressure", "NoSchedule", ("MemoryPressure", "DiskPressure"), False),
        ("node.kubernetes.io/disk-pressure", "NoSchedule", ("DiskPressure",), False),
    ],
)
def test_best_effort_pods_that_bear_memory_pressure(
    key: str, effect: str, pressure: tuple[str, ...], taken: bool
) -> None:
    """The kind: what the scheduler lets through, such as pods of daemon sets, was refused by the kubelet."""
    pod = make(tolerations=[core.Toleration(key=key, operator="Exists", effect=effect)])
    node = NodeView({}, NODE.allocatable, pressure=pressure)
    assert (admission.refused(pod, [], node) is None) == taken


@pytest.mark.parametrize(("policy", "clash"), [("Always", True), (None, False)])
def test_ports_of_sidecars_are_taken(policy: str | None, clash: bool) -> None:
    """Those of init containers that end are not."""
    pod = make()
    ports = [core.ContainerPort(container_port=80, host_port=80)]
    pod.spec.init_containers = [core.Container(name="i", ports=ports, restart_policy=policy)]
    assert admission.ports_clash(pod, [with_port(80)]) == clash
    assert admission.ports_clash(with_port(80), [pod]) == clash


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"memory": "9Ti", "ephemeral-storage": "9Ti"}, "OutOfmemory"),
        ({"cpu": "99", "memory": "9Ti"}, "OutOfcpu"),
        ({"ephemeral-storage": "9Ti", "hugepages-2Mi": "2Mi"}, "OutOfephemeral-storage"),
    ],
)
def test_of_several_resources_the_first_is_told(asked: dict[str, str], reason: str) -> None:
    requests = {name: Quantity.parse(amount) for name, amount in asked.items()}
    pod = make(containers=[core.Container(name="c", resources=core.ResourceRequirements(requests=requests))])
    refusal = admission.refused(pod, [], NODE)
    assert refusal is not None and refusal[0] == reason


def test_who_goes_first() -> None:
    modest, greedy, important = make(memory="100Mi"), make(), make(priority=5)
    critical = make(priority=SYSTEM_CRITICAL)
    pods = [eviction.Candidate(pod, 50 << 20) for pod in (modest, important, greedy, critical)]
    assert [c.pod for c in eviction.rank(pods, "memory")] == [greedy, important, modest]


def test_empty_dirs_over_their_limit() -> None:
    volume = core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource(size_limit=Quantity.parse("1Mi")))
    pod = make(volumes=[volume])
    assert eviction.over_limit(pod, {"e": 1 << 20}, {}) == ""
    assert eviction.over_limit(pod, {"e": 2 << 20}, {}) == 'Usage of EmptyDir volume "e" exceeds the limit "1Mi". '


@pytest.mark.parametrize(
    ("limits", "medium", "used", "written", "message"),
    [
        (["1Mi"], "", 0, [1 << 20], ""),
        (["1Mi"], "", 0, [2 << 20], "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
        (["1Mi"], "", 1, [1 << 20], "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "),
        (["1Mi"], "Memory", 9 << 20, [1 << 20], ""),
        (["1Mi", "2Mi"], "", 0, [2 << 20, 0], 'Container c0 exceeded its local ephemeral storage limit "1Mi". '),
        (["1Mi", "2Mi"], "", 0, [0, 2 << 20], ""),
        ([""], "", 9 << 20, [9 << 20], ""),
        (
            ["", "1Mi"],
            "",
            0,
            [2 << 20, 0],
            "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        ),
    ],
)
def test_what_containers_write_is_limited(
    limits: list[str], medium: str, used: int, written: list[int], message: str
) -> None:
    """The kind: limits of ephemeral-storage were accepted without effect."""
    pod = make(volumes=[core.Volume(name="e", empty_dir=core.EmptyDirVolumeSource(medium=medium))])
    pod.spec.containers = [
        core.Container(
            name=f"c{n}",
            resources=core.ResourceRequirements(limits={"ephemeral-storage": Quantity.parse(limit)} if limit else {}),
        )
        for n, limit in enumerate(limits)
    ]
    by_name = {f"c{n}": amount for n, amount in enumerate(written)}
    assert eviction.over_limit(pod, {"e": used}, by_name) == message
    assert eviction.limits_storage(pod) == any(limits)


@pytest.mark.parametrize(
    ("image", "fine"),
    [
        ("busybox", True),
        ("localhost:5000/a/b:1", True),
        ("a@sha256:" + "0" * 64, True),
        ("Upper", False),
        ("a b", False),
    ],
)
def test_names_of_images(image: str, fine: bool) -> None:
    if fine:
        images.check_reference(image)
    else:
        with pytest.raises(RuntimeFailure) as caught:
            images.check_reference(image)
        assert caught.value.reason == "InvalidImageName"


@pytest.mark.parametrize(
    ("server", "image", "found"),
    [
        ("https://index.docker.io/v1/", "busybox:1", True),
        ("registry.example", "registry.example/a:1", True),
        ("registry.example", "other.example/a:1", False),
        ("registry.example/team", "registry.example/team/a", True),
        ("registry.example/team", "registry.example/teams/a", False),
        ("*.example", "registry.example/a", True),
    ],
)
def test_pull_secrets(server: str, image: str, found: bool) -> None:
    data = b'{"auths": {"%s": {"auth": "dTpw"}}}' % server.encode()
    secret = core.Secret(data={".dockerconfigjson": data})
    expected = [{"username": "u", "password": "p", "serveraddress": server}] if found else []
    assert images.credentials([secret], image) == expected


def test_images_to_remove() -> None:
    policy = images.CollectionPolicy()
    assert images.to_free(policy, 1000, 200) == 0
    assert images.to_free(policy, 1000, 100) == 100
    old = NOW - timedelta(hours=1)
    records = [images.ImageRecord(Image(str(n), str(n), size=60), old, old + timedelta(minutes=n)) for n in range(4)]
    young = images.ImageRecord(Image("y", "y", size=60), NOW, old)
    chosen = images.to_remove([young, *reversed(records)], {"0"}, 100, policy, NOW)
    assert [image.id for image in chosen] == ["1", "2"]


def test_limits_of_a_pods_cgroup() -> None:
    limits = {"cpu": Quantity.parse("500m"), "memory": Quantity.parse("64Mi")}
    container = core.Container(name="c", resources=core.ResourceRequirements(limits=limits, requests=limits))
    assert pod_limits(make(containers=[container, container])) == PodLimits(1024, 100000, 128 << 20)
    assert pod_limits(make(containers=[container, core.Container(name="d")])) == PodLimits(512, 0, 0)
    assert settings(PodLimits(1024, 0, 0), unified=True)["cpu.max"] == "max 100000"
    assert settings(PodLimits(2, 0, 0), unified=False)["memory/memory.limit_in_bytes"] == "-1"
    assert kubepods_settings(2000, 0, False)["kubepods"]["cpu/cpu.shares"] == "2048"


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        ("r.io:5/a/b:Tag", ""),
        ("[::1]:5000/a", ""),
        ("UPPER.com/a", ""),
        (f"a@sha256:{'a' * 64}", ""),
        ("localhost:5000/A", "invalid reference format: repository name (A) must be lowercase"),
        ("Nginx:1", "invalid reference format: repository name (library/Nginx) must be lowercase"),
        ("docker.io/Nginx", "invalid reference format: repository name (library/Nginx) must be lowercase"),
        ("a/B:1", "invalid reference format: repository name (a/B) must be lowercase"),
        ("r.io/B", "invalid reference format: repository name (B) must be lowercase"),
        ("0a" * 32, "invalid repository name (" + "0a" * 32 + "), cannot specify 64-byte hexadecimal strings"),
        ("r.io/" + "0a" * 32, ""),
        ("0a" * 32 + ":1", ""),
        ("a:T:x", "invalid reference format"),
        ("a:é", "invalid reference format"),
        ("a" * 256, "repository name must not be more than 255 characters"),
        (f"a@sha256:{'A' * 64}", "invalid checksum digest format"),
        (f"a@sha256:{'a' * 63}", "invalid checksum digest length"),
        (f"a@md5:{'a' * 32}", "unsupported digest algorithm"),
    ],
)
def test_why_a_reference_is_none(image: str, reason: str) -> None:
    """The kind: what the pattern takes may still be no reference, by its length or its digest."""
    if not reason:
        images.check_reference(image)
        return
    with pytest.raises(RuntimeFailure) as caught:
        images.check_reference(image)
    assert str(caught.value).endswith(f'"{image}": {reason}')
