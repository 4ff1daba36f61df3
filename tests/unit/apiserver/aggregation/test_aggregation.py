"""Extension API servers: what an APIService says, what its condition is, what their documents tell."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pybernetes.apiserver.aggregation import availability, documents
from pybernetes.apiserver.aggregation.remote import Remote, available, remote, user_headers
from pybernetes.apiserver.authentication.user import User
from pybernetes.apiserver.filters.aggregation import group_version

Object = dict[str, Any]
NOW, LATER = "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"


def api_service(**spec: Any) -> Object:
    told: Object = {"group": "g.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
    place = {"namespace": "n", "name": "s", "port": 8443}
    return {"metadata": {"name": "v1.g.io"}, "spec": {**told, "service": place, **spec}}


def made(**spec: Any) -> Remote:
    place = remote(api_service(**spec))
    assert place is not None
    return place


def test_where_its_server_is() -> None:
    place = made(caBundle=base64.b64encode(b"pem").decode())
    assert (place.server_name, place.path, place.ca, place.insecure) == ("s.n.svc", "/apis/g.io/v1", b"pem", False)
    assert made(group="", version="v1").path == "/api/v1"
    assert made(service={"namespace": "n", "name": "s"}).service.port == 443
    assert remote(api_service(service=None)) is None


@pytest.mark.parametrize(
    ("path", "whose"),
    [
        ("/apis/g.io/v1", ("g.io", "v1")),
        ("/apis/g.io/v1/", ("g.io", "v1")),
        ("/apis/g.io/v1/namespaces/n/things/a/log", ("g.io", "v1")),
        ("/openapi/v3/apis/g.io/v1", ("g.io", "v1")),
        ("/api/v1/pods", ("", "v1")),
        ("/apis/g.io", None),
        ("/apis", None),
        ("/openapi/v3", None),
        ("/openapi/v2", None),
        ("/healthz", None),
        ("/", None),
        ("/apis//v1/things", None),
    ],
)
def test_whose_a_path_is(path: str, whose: tuple[str, str] | None) -> None:
    assert group_version(path) == whose


def test_who_asks_is_told_in_headers() -> None:
    user = User("zoë\r\nx: y", ("a", "b"), "7", {"example.com/key%": ("1", "2")})
    assert user_headers(user) == [
        ("X-Remote-User", "zo\xc3\xab  x: y"),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-example.com%2Fkey%25", "1"),
        ("X-Remote-Extra-example.com%2Fkey%25", "2"),
    ]
    assert user_headers(User("a")) == [("X-Remote-User", "a")]


SERVICE: Object = {"spec": {"type": "ClusterIP", "ports": [{"name": "https", "port": 8443}]}}
READY: Object = {"endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"name": "https", "port": 6443}]}


@pytest.mark.parametrize(
    ("service", "slices", "reason"),
    [
        (None, [], "ServiceNotFound"),
        ({"spec": {"type": "ClusterIP", "ports": [{"port": 443}]}}, [READY], "ServicePortError"),
        ({"spec": {"ports": None}}, [READY], "ServicePortError"),
        (SERVICE, [], "EndpointsNotFound"),
        (SERVICE, [{**READY, "endpoints": [{"conditions": {"ready": False}}]}], "MissingEndpoints"),
        (SERVICE, [{**READY, "ports": [{"name": "http", "port": 80}]}], "MissingEndpoints"),
        (SERVICE, [{**READY, "endpoints": []}, READY], ""),
        (SERVICE, [READY], ""),
        ({"spec": {"type": "ExternalName"}}, [], ""),
        ({"spec": {"type": "NodePort", "ports": []}}, [], ""),
    ],
)
def test_what_can_be_told_without_asking(service: Object | None, slices: list[Object], reason: str) -> None:
    finding = availability.before_asking(made(), service, slices)
    assert (finding.reason if finding else "") == reason


def test_the_condition_keeps_the_time_of_its_last_change() -> None:
    new = availability.with_condition(api_service(), availability.PASSED, NOW)
    assert new is not None and available(new)
    assert availability.with_condition(new, availability.PASSED, LATER) is None
    worse = availability.with_condition(new, availability.failed("why"), LATER)
    assert worse is not None and not available(worse)
    assert worse["status"]["conditions"][0]["lastTransitionTime"] == LATER
    other = availability.with_condition(worse, availability.failed("another why"), NOW)
    assert other is not None and other["status"]["conditions"][0]["lastTransitionTime"] == LATER
    assert "status" not in api_service()


RESOURCES = [
    {
        "name": "things",
        "singularName": "thing",
        "namespaced": True,
        "kind": "Thing",
        "verbs": ["get"],
        "shortNames": ["t"],
    },
    {
        "name": "things/scale",
        "namespaced": True,
        "kind": "Scale",
        "group": "autoscaling",
        "version": "v1",
        "verbs": ["get"],
    },
    {"name": "lonely/status", "namespaced": False, "kind": "Lonely", "verbs": ["update"]},
]


def test_an_old_servers_discovery_is_told_as_todays() -> None:
    body = json.dumps({"kind": "APIResourceList", "groupVersion": "g.io/v1", "resources": RESOURCES}).encode()
    things, lonely = documents.told(body, "g.io", "v1")
    assert things == {
        "resource": "things",
        "responseKind": {"group": "g.io", "version": "v1", "kind": "Thing"},
        "scope": "Namespaced",
        "singularResource": "thing",
        "verbs": ["get"],
        "shortNames": ["t"],
        "subresources": [
            {
                "subresource": "scale",
                "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"},
                "verbs": ["get"],
            }
        ],
    }
    assert (lonely["resource"], lonely["subresources"][0]["subresource"]) == ("lonely", "status")


def test_of_todays_discovery_only_the_group_version_is_told() -> None:
    versions = [
        {"version": "v1", "resources": [{"resource": "a", "subresources": [{"subresource": "x"}]}]},
        {"version": "v2"},
    ]
    items = [{"metadata": {"name": "g.io"}, "versions": versions}, {"metadata": {"name": "apps"}, "versions": versions}]
    body = json.dumps({"kind": "APIGroupDiscoveryList", "items": items}).encode()
    assert documents.told(body, "g.io", "v1") == [
        {"responseKind": {}, "resource": "a", "subresources": [{"responseKind": {}, "subresource": "x"}]}
    ]
    assert documents.told(body, "g.io", "v3") == documents.told(body, "h.io", "v1") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"kind": "Status"}', b"\xff", b"[" * 100_000, b" " * (9 << 20)])
def test_what_is_no_discovery_is_refused(body: bytes) -> None:
    with pytest.raises(documents.Unreadable):
        documents.told(body, "g.io", "v1")


@pytest.mark.parametrize(
    "body", [{"kind": "APIGroupDiscoveryList", "items": 3}, {"kind": "APIResourceList", "resources": [4, None]}]
)
def test_what_is_half_a_discovery_tells_nothing(body: Object) -> None:
    assert documents.told(json.dumps(body).encode(), "g.io", "v1") == []


def test_only_its_own_document_is_taken_from_the_index_of_a_server() -> None:
    item = {"serverRelativeURL": "/openapi/v3/apis/g.io/v1?hash=A"}
    body = json.dumps({"paths": {"apis/g.io/v1": item, "apis/apps/v1": item, "api/v1": item}}).encode()
    assert documents.index(body, "g.io", "v1") == {"apis/g.io/v1": item}
    assert documents.index(b'{"paths": {"apis/g.io/v1": {"serverRelativeURL": 3}}}', "g.io", "v1") == {}
