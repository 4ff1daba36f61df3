"""Where requests to kubelets, pods and services go."""

from typing import Any

import pytest

from pybernetes.api.errors import StatusError
from pybernetes.apiserver.endpoints.connect import location
from pybernetes.apiserver.endpoints.connect.location import Location
from pybernetes.apiserver.query import parse

NODE = {
    "status": {
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "worker"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10255}},
    }
}


def pod(*containers: str, init: tuple[str, ...] = ()) -> dict[str, Any]:
    spec: dict[str, Any] = {"nodeName": "n", "containers": [{"name": c} for c in containers]}
    if init:
        spec["initContainers"] = [{"name": c} for c in init]
    return {"metadata": {"name": "p", "namespace": "ns"}, "spec": spec}


def refused(error: pytest.ExceptionInfo[StatusError]) -> tuple[int, str]:
    return error.value.code, str(error.value)


@pytest.mark.parametrize(
    ("preferred", "wanted"),
    [
        (("InternalIP", "Hostname"), ("10.0.0.1", 10255)),
        (("Hostname", "InternalIP"), ("worker", 10255)),
        (("ExternalIP", "InternalIP"), ("10.0.0.1", 10255)),
    ],
)
def test_kubelet_address(preferred: tuple[str, ...], wanted: tuple[str, int]) -> None:
    assert location.kubelet(NODE, preferred) == wanted


def test_kubelet_without_a_preferred_address() -> None:
    with pytest.raises(StatusError) as error:
        location.kubelet(NODE, ["ExternalIP"])
    known = "[{InternalIP 10.0.0.1} {Hostname worker}]"
    assert refused(error) == (500, f"no preferred addresses found; known addresses: {known}")


def test_kubelet_port_defaults() -> None:
    assert location.kubelet({"status": {"addresses": NODE["status"]["addresses"]}}, ["Hostname"])[1] == 10250


@pytest.mark.parametrize(
    ("identifier", "wanted"),
    [
        ("a", ("", "a", "")),
        ("a:80", ("", "a", "80")),
        ("https:a:", ("https", "a", "")),
        ("https:a:name", ("https", "a", "name")),
        ("ftp:a:1", None),
        (":1", None),
        ("a:b:c:d", None),
    ],
)
def test_split(identifier: str, wanted: tuple[str, str, str] | None) -> None:
    assert location.split_scheme_name_port(identifier) == wanted


@pytest.mark.parametrize(
    ("made", "wanted", "found"),
    [
        (pod("a"), "", "a"),
        (pod("a", "b"), "b", "b"),
        (pod("a", init=("i",)), "i", "i"),
        (pod("a", "b"), "", "a container name must be specified for pod p, choose one of: [a b]"),
        (pod("a", "b", init=("i",)), "", "a container name must be specified for pod p, choose one of: [i a b]"),
        (pod(), "", "a container name must be specified for pod p"),
        (pod("a"), "x", "container x is not valid for pod p"),
    ],
)
def test_container(made: dict[str, Any], wanted: str, found: str) -> None:
    if " " not in found:
        assert location.container(made, wanted) == found
        return
    with pytest.raises(StatusError) as error:
        location.container(made, wanted)
    assert refused(error) == (400, found)


def test_log_url() -> None:
    query = parse(
        b"follow=true&tailLines=3&timestamps=&previous=false&container=a&sinceTime=2026-01-01T00:00:00%2B01:00&limitBytes=10"
    )
    path = "/containerLogs/ns/p/a"
    parameters = "follow=true&limitBytes=10&sinceTime=2025-12-31T23%3A00%3A00Z&tailLines=3&timestamps=true"
    found = location.log(pod("a"), NODE, ["InternalIP"], query)
    assert found == Location("https", "10.0.0.1", 10255, path, parameters, kubelet=True)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"tailLines=-1", "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        (b"limitBytes=0", "limitBytes: Invalid value: 0: must be greater than 0"),
        (b"sinceSeconds=0", "sinceSeconds: Invalid value: 0: must be greater than 0"),
        (b"stream=x", 'stream: Unsupported value: "x": supported values: "All", "Stdout", "Stderr"'),
    ],
)
def test_log_options_refused(query: bytes, message: str) -> None:
    with pytest.raises(StatusError) as error:
        location.log_parameters(parse(query), "p")
    assert refused(error) == (422, f'PodLogOptions "p" is invalid: {message}')


def test_stream_urls() -> None:
    query = parse(b"command=sh&command=-c&stdin=true&stdout=1&tty=true")
    assert location.stream(pod("a"), NODE, ["InternalIP"], "exec", query) == Location(
        "https", "10.0.0.1", 10255, "/exec/ns/p/a", "command=sh&command=-c&input=1&output=1&tty=1", kubelet=True
    )
    forward = location.stream(pod("a", "b"), NODE, ["InternalIP"], "portforward", parse(b"ports=80&ports=81"))
    assert (forward.path, forward.query) == ("/portForward/ns/p", "port=80%2C81")


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.9.10", "169.254.1.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1"),
        *("fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "", "x"),
    ],
)
def test_addresses_that_are_not_proxied(address: str) -> None:
    with pytest.raises(StatusError, match="address not allowed"):
        location.checked_address(address)


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1"])
def test_addresses_that_are(address: str) -> None:
    assert location.checked_address(address) == address


def test_one_bad_address_is_enough() -> None:
    location.checked_addresses(["10.0.0.1", "10.0.0.2"])
    with pytest.raises(StatusError, match="address not allowed"):
        location.checked_addresses(["10.0.0.1", "127.0.0.1"])
    with pytest.raises(StatusError, match="no addresses for hostname"):
        location.checked_addresses([])


def test_pod_port() -> None:
    made = pod("a")
    made["status"] = {"podIPs": [{"ip": "10.1.0.5"}]}
    assert location.pod(made, "", "") == Location("http", "10.1.0.5", 80)
    assert location.pod(made, "https", "") == Location("https", "10.1.0.5", 443)
    made["spec"]["containers"][0]["ports"] = [{"containerPort": 8080}]
    assert location.pod(made, "", "") == Location("http", "10.1.0.5", 8080)
    assert location.pod(made, "", "9") == Location("http", "10.1.0.5", 9)


def test_node_port() -> None:
    assert location.node(NODE, ["InternalIP"], "", "").kubelet
    assert location.node(NODE, ["InternalIP"], "", "10255").kubelet
    assert location.node(NODE, ["InternalIP"], "http", "9100") == Location("http", "10.0.0.1", 9100)


def test_service_port() -> None:
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80, "name": "web"}]}}
    assert location.service_port(service, "80") == "web"
    assert location.service_port(service, "web") == "web"
    with pytest.raises(StatusError) as error:
        location.service_port(service, "81")
    assert refused(error) == (503, 'no service port 81 found for service "s"')
