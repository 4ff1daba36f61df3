"""What a container is made of, by tables."""

from __future__ import annotations

import pytest

from pybernetes.api.quantity import Quantity
from pybernetes.api.types import core_v1 as core
from pybernetes.kubelet.machine import config, hosts
from pybernetes.kubelet.runtime import dockerconfig as d
from pybernetes.kubelet.runtime.types import Image, Mount, RuntimeFailure

IMAGE = Image("sha256:1", "docker://sha256:1")


def make(**container: object) -> core.Pod:
    pod = core.Pod()
    pod.metadata.name, pod.metadata.namespace, pod.metadata.uid = "p", "ns", "u"
    pod.spec.containers = [core.Container(name="c", image="i", **container)]  # type: ignore[arg-type]  # any field
    return pod


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(B)"),
        ("$(A", "$(A"),
        ("a$b", "a$b"),
        ("$(B$(A))", "$(B$(A))"),
        ("$(A)$(", "1$("),
        ("$(x(A)", "$(x(A)"),
        ("$()", "$()"),
    ],
)
def test_references(text: str, expanded: str) -> None:
    assert config.expand(text, {"A": "1"}) == expanded


@pytest.mark.parametrize(
    ("image_user", "own", "group", "user"),
    [("", None, None, "0"), ("1234", None, None, "1234"), ("nobody:x", None, 5, "nobody:5"), ("1", 7, None, "7")],
)
def test_users(image_user: str, own: int | None, group: int | None, user: str) -> None:
    pod = make(security_context=core.SecurityContext(run_as_user=own, run_as_group=group))
    image = Image("i", "i", user=image_user)
    assert config.security(pod, pod.spec.containers[0], image).user == user


@pytest.mark.parametrize(
    ("image_user", "words"), [("", "run as root"), ("0", "run as root"), ("bob", "non-numeric user (bob)")]
)
def test_non_root_is_checked(image_user: str, words: str) -> None:
    pod = make(security_context=core.SecurityContext(run_as_non_root=True))
    with pytest.raises(RuntimeFailure, match=words.replace("(", r"\(").replace(")", r"\)")) as caught:
        config.security(pod, pod.spec.containers[0], Image("i", "i", user=image_user))
    assert caught.value.reason == config.CONFIG_ERROR


def test_hash_follows_name_and_image_alone() -> None:
    one = core.Container(name="c", image="i", args=["x"])
    assert config.container_hash(one) == config.container_hash(core.Container(name="c", image="i"))
    assert config.container_hash(one) != config.container_hash(core.Container(name="c", image="j"))


def test_labels_of_a_container() -> None:
    lifecycle = core.Lifecycle(pre_stop=core.LifecycleHandler(exec=core.ExecAction(command=["a"])))
    pod = make(ports=[core.ContainerPort(container_port=80, protocol="TCP")], lifecycle=lifecycle)
    made = config.container_config(pod, pod.spec.containers[0], 2, IMAGE, {}, [], 1 << 30)
    assert made.labels["annotation.io.kubernetes.container.ports"] == '[{"containerPort":80,"protocol":"TCP"}]'
    assert made.labels["annotation.io.kubernetes.container.preStopHandler"] == '{"exec":{"command":["a"]}}'
    assert d.log_path(made, config.sandbox_config(pod, 0)) == "/var/log/pods/ns_p_u/c/2.log"


def test_hostnames() -> None:
    pod = make()
    pod.metadata.name = "a" * 62 + "--b"
    assert hosts.hostname(pod) == "a" * 62
    pod.metadata.name, pod.spec.subdomain, pod.spec.set_hostname_as_fqdn = "p", "sub", True
    assert hosts.sandbox_hostname(pod, "cluster.local") == "p.sub.ns.svc.cluster.local"
    assert hosts.hosts_file(pod, ["10.0.0.2"], "cluster.local", "").endswith(
        "10.0.0.2\tp.sub.ns.svc.cluster.local\tp\n"
    )
    pod.metadata.namespace = "n" * 60
    with pytest.raises(RuntimeFailure, match="is too long"):
        hosts.sandbox_hostname(pod, "cluster.local")


def test_docker_create_of_a_container() -> None:
    limits = {"cpu": Quantity.parse("500m"), "memory": Quantity.parse("64Mi")}
    pod = make(resources=core.ResourceRequirements(limits=limits, requests=limits))
    made = config.container_config(
        pod, pod.spec.containers[0], 0, IMAGE, {"A": "1"}, [Mount("/h", "/c", True, "HostToContainer")], 1
    )
    sandbox = config.sandbox_config(pod, 0)
    body = d.container_create(made, sandbox, "s", "/parent", 5, may_privilege=True)
    host = body["HostConfig"]
    assert (host["CpuShares"], host["CpuQuota"], host["Memory"], host["MemorySwap"]) == (512, 50000, 64 << 20, 64 << 20)
    assert host["Binds"] == ["/h:/c:ro,rslave"]
    assert (host["NetworkMode"], host["IpcMode"], host["CgroupParent"]) == ("container:s", "container:s", "/parent")
    assert body["Env"] == ["A=1"]
    assert d.container_name("c", sandbox, 0) == "k8s_c_p_ns_u_0"


def test_a_privileged_container_where_the_machine_lacks_rights() -> None:
    pod = make(security_context=core.SecurityContext(privileged=True))
    made = config.container_config(pod, pod.spec.containers[0], 0, IMAGE, {}, [], 1)
    host = d.container_create(made, config.sandbox_config(pod, 0), "s", "", 0, may_privilege=False)["HostConfig"]
    assert host["Privileged"] is False
    assert "SYS_ADMIN" in host["CapAdd"] and "SYS_RESOURCE" not in host["CapAdd"]
    assert host["MaskedPaths"] == []


def inspected(**state: object) -> dict[str, object]:
    base = {
        "Running": False,
        "OOMKilled": False,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": "2026-01-01T00:00:01.5Z",
        "FinishedAt": "2026-01-01T00:00:02Z",
    }
    labels = {d.CONTAINER_NAME: "c", d.POD_UID: "u"}
    return {
        "Id": "x",
        "Name": "/k8s_c_p_ns_u_3",
        "Created": "2026-01-01T00:00:00Z",
        "Image": "sha256:1",
        "Config": {"Image": "i", "Labels": labels},
        "State": {**base, **state},
    }


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Running": True, "FinishedAt": d.ZERO_TIME}, ("running", "", 0)),
        ({}, ("exited", "Completed", 0)),
        ({"ExitCode": 137}, ("exited", "Error", 137)),
        ({"ExitCode": 137, "OOMKilled": True}, ("exited", "OOMKilled", 137)),
        ({"ExitCode": 127, "StartedAt": d.ZERO_TIME, "FinishedAt": d.ZERO_TIME}, ("exited", "ContainerCannotRun", 127)),
        ({"StartedAt": d.ZERO_TIME, "FinishedAt": d.ZERO_TIME}, ("created", "", 0)),
    ],
)
def test_states_of_a_container(state: dict[str, object], expected: tuple[str, str, int]) -> None:
    found = d.container_of(inspected(**state), None)
    assert (found.state, found.reason, found.exit_code, found.attempt) == (*expected, 3)


def test_systemd_slices() -> None:
    assert d.systemd_slice("/kubepods/besteffort/poda-b") == "kubepods-besteffort-poda_b.slice"
