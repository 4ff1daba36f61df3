"""Where webhooks are."""

from typing import Any

import pytest

from pybernetes.apiserver.admission.webhook.caller import told
from pybernetes.apiserver.admission.webhook.endpoint import Unresolved, addresses, target
from pybernetes.apiserver.admission.webhook.hooks import ClientConfig, ServiceReference

from ...fakes import Objects, meta

Object = dict[str, Any]
REFERENCE = ServiceReference("ns", "svc", 443, "/path")


def service(**spec: Any) -> tuple[str, str, Object]:
    ports = [{"name": "web", "port": 443}, {"name": "other", "port": 80}]
    return ("", "services", {"metadata": meta("svc", "ns"), "spec": {"clusterIP": "10.0.0.1", "ports": ports, **spec}})


def endpoint_slice(name: str, port: str, number: int, *endpoints: tuple[str, bool | None]) -> tuple[str, str, Object]:
    listed = [{"addresses": [address], "conditions": {"ready": ready}} for address, ready in endpoints]
    labels = {"kubernetes.io/service-name": name}
    made = {
        "metadata": meta(f"{name}-{port}-{number}", "ns", labels=labels),
        "addressType": "IPv4",
        "ports": [{"name": port, "port": number}],
        "endpoints": listed,
    }
    return ("discovery.k8s.io", "endpointslices", made)


ENDPOINTS = (
    "",
    "endpoints",
    {
        "metadata": meta("svc", "ns"),
        "subsets": [{"addresses": [{"ip": "10.1.0.9"}], "ports": [{"name": "web", "port": 9443}]}],
    },
)


@pytest.mark.parametrize(
    ("objects", "found"),
    [
        ([service()], [("10.0.0.1", 443)]),
        ([service(), ENDPOINTS], [("10.1.0.9", 9443)]),
        (
            [
                service(),
                endpoint_slice("svc", "web", 8443, ("10.1.0.1", True), ("10.1.0.2", False), ("10.1.0.3", None)),
            ],
            [("10.1.0.1", 8443), ("10.1.0.3", 8443)],
        ),
        ([service(), endpoint_slice("svc", "other", 8080, ("10.1.0.1", True))], [("10.0.0.1", 443)]),
        ([service(), endpoint_slice("else", "web", 8080, ("10.1.0.1", True))], [("10.0.0.1", 443)]),
        ([service(type="ExternalName", externalName="a.example")], [("a.example", 443)]),
        ([service(clusterIP="None"), ENDPOINTS], [("10.1.0.9", 9443)]),
    ],
)
def test_addresses(objects: list[tuple[str, str, Object]], found: list[tuple[str, int]]) -> None:
    assert addresses(Objects(*objects), REFERENCE) == found


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([], 'service "svc" not found'),
        ([service(ports=[{"port": 80}])], 'no service port 443 found for service "svc"'),
        ([service(clusterIP="None")], 'no endpoints available for service "svc"'),
    ],
)
def test_unresolved(objects: list[tuple[str, str, Object]], words: str) -> None:
    with pytest.raises(Unresolved) as raised:
        addresses(Objects(*objects), REFERENCE)
    assert str(raised.value) == words


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (ClientConfig("https://a.example/x/y"), ("https://a.example", "/x/y")),
        (ClientConfig("https://a.example//x/"), ("https://a.example", "/x")),
        (ClientConfig("https://a.example/x/../y//z"), ("https://a.example", "/y/z")),
        (ClientConfig("https://a.example:8443"), ("https://a.example:8443", "/")),
        (ClientConfig("", REFERENCE), ("https://svc.ns.svc:443", "/path")),
        (ClientConfig("", ServiceReference("ns", "svc", 443, "//path/")), ("https://svc.ns.svc:443", "/path")),
        (ClientConfig("", ServiceReference("ns", "svc")), ("https://svc.ns.svc:443", "/")),
    ],
)
def test_targets(config: ClientConfig, found: tuple[str, str]) -> None:
    assert target(config) == found


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (500, b"x", 'an error on the server ("x") has prevented the request from succeeding'),
        (404, b"", "the server could not find the requested resource"),
        (503, b'{"kind":"Status","message":"busy"}', "busy"),
        (302, b"", "the server responded with the status code 302 but did not return more information"),
    ],
)
def test_answers_without_success(code: int, body: bytes, words: str) -> None:
    assert told(code, body) == words
