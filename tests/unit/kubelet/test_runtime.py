"""The sandbox's program, Docker's streams and names, static pods, the server's paths, the flags."""

from __future__ import annotations

import platform
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pybernetes.api.types import core_v1 as core
from pybernetes.api.wellknown import MIRROR_POD_ANNOTATION
from pybernetes.component import configfile, flags
from pybernetes.kubelet import grpcprobe, options, prober, static
from pybernetes.kubelet.configfields import CONFIGURATION
from pybernetes.kubelet.node.usage import Rates
from pybernetes.kubelet.runtime import pause
from pybernetes.kubelet.runtime.docker import image_name, may_raise_priority
from pybernetes.kubelet.runtime.dockerapi import Frames, socket_path, target
from pybernetes.kubelet.server import routes

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the program is machine code for x86-64")
def test_the_sandbox_program_waits_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "pause"
    path.write_bytes(pause.program())
    path.chmod(0o755)
    assert len(pause.program()) < 512
    for number in (signal.SIGTERM, signal.SIGINT):
        with subprocess.Popen([path]) as process:
            status = Path(f"/proc/{process.pid}/status")
            while "State:\tS" not in status.read_text():  # it sleeps in its one call that waits
                assert process.poll() is None, "it has not waited for a signal"
                time.sleep(0.001)
            process.send_signal(signal.SIGCHLD)
            process.send_signal(number)
            assert process.wait(60) == 0
    assert pause.archive() == pause.archive()


def test_frames_in_pieces() -> None:
    data = b"\x01\0\0\0\0\0\0\x02ab" + b"\x02\0\0\0\0\0\0\x01c"
    frames = Frames()
    assert [f for byte in data for f in frames.feed(bytes((byte,)))] == [(1, b"ab"), (2, b"c")]


def test_targets() -> None:
    assert target("/x", {"a": True, "b": None, "c": 1}) == "/x?a=1&c=1"
    assert socket_path("unix:///run/d.sock") == "/run/d.sock"
    with pytest.raises(ValueError, match="no unix socket"):
        socket_path("tcp://h:1")


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("a", ("a", "latest")),
        ("h:5000/a", ("h:5000/a", "latest")),
        ("h/a:1", ("h/a", "1")),
        ("a@sha256:0", ("a", "sha256:0")),
    ],
)
def test_image_names(image: str, expected: tuple[str, str]) -> None:
    assert image_name(image) == expected


@pytest.mark.parametrize(("mask", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False)])
def test_rights_of_the_machine(mask: str, may: bool) -> None:
    assert may_raise_priority(f"Name:\tx\nCapBnd:\t{mask}\n") is may


def test_static_pods() -> None:
    spec = {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"memory": "1Mi"}}}]}
    document = {"kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    pod = static.read(document, "n", "/etc/m/web.yaml", NOW)
    assert (pod.metadata.name, pod.metadata.namespace, pod.spec.node_name) == ("web-n", "default", "n")
    assert pod.metadata.uid == static.read(document, "n", "/etc/m/web.yaml", NOW).metadata.uid
    assert pod.metadata.uid != static.read(document, "n", "/etc/m/other.yaml", NOW).metadata.uid
    assert str(pod.spec.containers[0].resources.requests["memory"]) == "1Mi"
    mirror = static.mirror_of(pod, core.Node())
    assert static.is_mirror(mirror) and mirror.metadata.annotations[MIRROR_POD_ANNOTATION] == pod.metadata.uid
    with pytest.raises(ValueError, match="is no Pod"):
        static.read({"kind": "Service"}, "n", "f", NOW)


def test_static_pod_files(tmp_path: Path) -> None:
    files = static.PodFiles(str(tmp_path), "n", lambda: NOW)
    (tmp_path / "a.yaml").write_text("kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n")
    (tmp_path / "broken.yaml").write_text("{")
    (tmp_path / ".hidden").write_text("kind: Pod\n")
    assert [pod.metadata.name for pod in files.pods().values()] == ["a-n"]
    (tmp_path / "a.yaml").unlink()
    assert files.pods() == {}


@pytest.mark.parametrize(
    ("path", "name", "right"),
    [
        ("/containerLogs/ns/p/c", "logs", "proxy"),
        ("/exec/ns/p/c", "exec", "proxy"),
        ("/exec/ns/p/uid/c", "exec", "proxy"),
        ("/stats/summary", "stats", "stats"),
        ("/metrics/cadvisor", "metrics_cadvisor", "metrics"),
        ("/pods/", "pods", "proxy"),
        ("/exec", None, ""),
        ("/stats/container", None, ""),
    ],
)
def test_paths(path: str, name: str | None, right: str) -> None:
    found = routes.find(path)
    assert (found[0].name if found else None) == name
    if found:
        assert routes.asks("POST", path, found[0], "n")[-1].subresource == right
        assert routes.asks("POST", path, found[0], "n")[-1].verb == "create"


@pytest.mark.parametrize(
    "query",
    [
        "tailLines=-1",
        "stream=stdout",
        "stream=X",
        "limitBytes=0",
        "sinceSeconds=0",
        "sinceSeconds=1&sinceTime=2000-01-01T00:00:00Z",
    ],
)
def test_invalid_log_options(query: str) -> None:
    with pytest.raises(routes.InvalidQuery):
        routes.log_query(query)


@pytest.mark.parametrize("query", ["tailLines=x", "sinceTime=yesterday"])
def test_log_options_that_are_no_numbers(query: str) -> None:
    with pytest.raises(routes.UndecodableQuery):
        routes.log_query(query)


def test_log_options() -> None:
    found = routes.log_query("follow=x&timestamps=maybe&previous=false&tailLines=2&unknown=1")
    assert (found.follow, found.timestamps, found.previous, found.tail) == (True, True, False, 2)
    assert [routes.log_query(query).stream for query in ("", "stream=Stderr", "stream=All")] == ["", "Stderr", "All"]


def test_cpu_rates() -> None:
    rates = Rates()
    assert rates.nano_cores("a", 1000, 10.0) == 0
    assert rates.nano_cores("a", 3000, 12.0) == 1000
    assert rates.nano_cores("a", 3001, 12.1) == 1000  # too soon for another


def test_http_probe_targets() -> None:
    container = core.Container(name="c", ports=[core.ContainerPort(name="web", container_port=8080)])
    action = core.HTTPGetAction(path="ok", port="web", http_headers=[core.HTTPHeader(name="Accept", value="")])
    target_ = prober.http_target(action, container, "fd00::1", "agent")
    assert target_.url == "http://[fd00::1]:8080/ok"
    assert target_.headers == (("User-Agent", "agent"),)
    with pytest.raises(prober.ProbeFailure):
        prober.port_number("none", container)


@pytest.mark.parametrize(("body", "status"), [(b"\0\0\0\0\2\x08\1", 1), (b"\0\0\0\0\0", 0), (b"\0\0\0\0\2\x08\2", 2)])
def test_grpc_answers(body: bytes, status: int) -> None:
    assert grpcprobe.status_of(body) == status


def test_flags_and_configuration_file() -> None:
    document = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "clusterDNS": ["10.96.0.10"],
        "syncFrequency": "1m30s",
        "fileCheckFrequency": "0s",  # as kubeadm writes what it leaves to the kubelet
        "healthzPort": 0,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"cacheTTL": "0s"}},
        "evictionHard": {"memory.available": "5%"},
        "registerWithTaints": [{"key": "k", "effect": "NoSchedule"}],
    }
    found = configfile.values_of(CONFIGURATION, options.FLAGS, document)
    assert found == {
        "cluster-dns": ["10.96.0.10"],
        "sync-frequency": 90.0,
        "healthz-port": 0,
        "anonymous-auth": True,
        "eviction-hard": {"memory.available": "5%"},
        "register-with-taints": [core.Taint(key="k", effect="NoSchedule")],
    }


def test_flags() -> None:
    arguments = [
        "--eviction-hard=memory.available<1Gi",
        "--register-with-taints=a=b:NoSchedule",
        "--node-ip",
        "192.0.2.1",
    ]
    chosen = options.kubelet_configuration(flags.parse("kubelet", options.FLAGS, arguments), "host", ["10.0.0.1"])
    assert chosen.options.hostname_override == "host"
    assert chosen.options.node_ip == ("192.0.2.1",)
    assert chosen.options.evictions.hard == {"memory.available": "1Gi"}
    assert chosen.options.register_with_taints == (core.Taint(key="a", value="b", effect="NoSchedule"),)
    with pytest.raises(flags.FlagError, match="invalid taint spec"):
        flags.parse("kubelet", options.FLAGS, ["--register-with-taints=a:Never"])
