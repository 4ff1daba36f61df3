"""Keys are upstream's, and come back as ours; what is nobody's object here is passed over."""

from __future__ import annotations

import pytest

from pybernetes.apiserver.generic.keys import Keys
from pybernetes.apiserver.kinds import RESOURCES
from pybernetes.apiserver.storage.layout import Layout

from .values import VALUES

KEYS = Keys()
LAYOUT = Layout(KEYS, (resource.stored_at[:2] for resource in RESOURCES))
NO_OBJECTS = {"/registry/ranges/servicenodeports"}  # see storage.ports


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("/registry/core/pods/a/b", "/registry/pods/a/b"),
        ("/registry/core/nodes/n", "/registry/minions/n"),
        ("/registry/core/services/a/s", "/registry/services/specs/a/s"),
        ("/registry/core/endpoints/a/s", "/registry/services/endpoints/a/s"),
        ("/registry/core/replicationcontrollers/a/s", "/registry/controllers/a/s"),
        ("/registry/apps/deployments/a/d", "/registry/deployments/a/d"),
        ("/registry/networking.k8s.io/ingresses/a/i", "/registry/ingress/a/i"),
        ("/registry/networking.k8s.io/ipaddresses/10.0.0.1", "/registry/ipaddresses/10.0.0.1"),
        ("/registry/coordination.k8s.io/leases/a/l", "/registry/leases/a/l"),
        ("/registry/rbac.authorization.k8s.io/clusterroles/a:b", "/registry/clusterroles/a:b"),
        ("/registry/apiregistration.k8s.io/apiservices/v1.", "/registry/apiregistration.k8s.io/apiservices/v1."),
        ("/registry/example.com/things/a/t", "/registry/example.com/things/a/t"),
        ("/registry/masterleases/endpoints/10.0.0.1", "/registry/masterleases/10.0.0.1"),
        ("compact_rev_key", "compact_rev_key"),
    ],
)
def test_both_ways(ours: str, theirs: str) -> None:
    assert LAYOUT.theirs(ours) == theirs
    if theirs.startswith("/"):
        assert LAYOUT.ours(theirs) == ours


def test_prefixes() -> None:
    assert LAYOUT.theirs("/registry/core/pods/") == "/registry/pods/"
    assert LAYOUT.theirs("/registry/core/pods/a/") == "/registry/pods/a/"
    assert LAYOUT.theirs("/registry/") == "/registry/"


@pytest.mark.parametrize(
    "theirs",
    [
        "/registry/podsecuritypolicy/p",  # not served any more
        "/registry/ranges/serviceips",
        "/registry/ranges/servicenodeports",
        "/registry/services/other/a",
        "/registry/pods",
        "/registry/pods/",
        "/registry/example.com/things",
        "/registry/example.com",
        "/registry/health",
        "/other/pods/a/b",
        "compact_rev_key",
        "",
    ],
)
def test_what_is_nobodys_object(theirs: str) -> None:
    assert LAYOUT.ours(theirs) == ""


def test_every_built_in_resource_has_a_place_of_its_own() -> None:
    stored = {resource.stored_at[:2] for resource in RESOURCES}
    places = {LAYOUT.theirs(KEYS.resource(*one)) for one in stored}
    assert len(places) == len(stored)
    assert {LAYOUT.ours(f"{place}x") for place in places} == {KEYS.resource(*one) + "x" for one in stored}


def test_upstreams_keys_are_known() -> None:
    assert {key for key in VALUES if not LAYOUT.ours(key)} == NO_OBJECTS
    assert all(LAYOUT.theirs(LAYOUT.ours(key)) == key for key in VALUES if key not in NO_OBJECTS)


def test_another_prefix() -> None:
    keys = Keys("/clusters/one")
    layout = Layout(keys, [("", "pods")])
    assert layout.theirs("/clusters/one/core/pods/a/b") == "/clusters/one/pods/a/b"
    assert layout.ours("/clusters/one/pods/a/b") == "/clusters/one/core/pods/a/b"
    assert layout.ours("/registry/pods/a/b") == ""
