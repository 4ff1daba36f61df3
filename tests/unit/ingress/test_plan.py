"""Which location leads where, who has it, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from pybernetes.api.types import networking_v1
from pybernetes.ingress.classes import CONTROLLER, Classes
from pybernetes.ingress.plan import configuration

from .objects import backend, ingress, locations, path, problems, secret, service, slice_of, world

WEB, SHOP = "default_web_80", "default_shop_80"


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([path("/")], {"/": WEB}),
        ([path("/foo")], {"= /foo": WEB, "/foo/": WEB, "/": ""}),
        ([path("/foo/")], {"= /foo": WEB, "/foo/": WEB, "/": ""}),
        ([path("/foo", "Exact")], {"= /foo": WEB, "/": ""}),
        ([path("/foo", "ImplementationSpecific")], {"/foo": WEB, "/": ""}),
        # An exact path goes before the prefix, whichever comes first.
        ([path("/foo"), path("/foo", "Exact", "shop")], {"= /foo": SHOP, "/foo/": WEB, "/": ""}),
        ([path("/foo", "Exact", "shop"), path("/foo")], {"= /foo": SHOP, "/foo/": WEB, "/": ""}),
        ([path("/", port="http")], {"/": WEB}),
        ([path("/", port=8080)], {"/": WEB}),  # the target's, as upstream
    ],
)
def test_paths(paths: list[Any], expected: dict[str, str]) -> None:
    made = configuration(world(ingress("i", *paths)))
    assert {name: each.upstream for name, each in locations(made).items()} == expected
    assert problems(made) == []


def test_of_two_the_older_has_the_path_and_the_other_is_told() -> None:
    young = ingress("a", path("/", service="shop"), made="2026-01-02T00:00:00Z")
    old = ingress("z", path("/"))
    for order in ((young, old), (old, young)):
        made = configuration(world(*order))
        assert locations(made)["/"].upstream == WEB
        assert problems(made) == ["a: PathTaken: host a.example: / is that of the older Ingress default/z"]


def test_of_the_same_second_the_last_by_name_has_it() -> None:
    made = configuration(world(ingress("a", path("/")), ingress("b", path("/", service="shop"))))
    assert locations(made)["/"].upstream == SHOP


def test_an_ingress_without_rules_is_for_all_hosts_that_nobody_has() -> None:
    made = configuration(world(ingress("i", defaultBackend=backend())))
    assert locations(made, "_")["/"].upstream == WEB


def test_a_default_backend_beside_rules_takes_what_they_leave_of_their_hosts() -> None:
    made = configuration(world(ingress("i", path("/foo", "Exact"), defaultBackend=backend("shop"))))
    assert locations(made)["/"].upstream == SHOP
    assert (locations(made, "_")["/"].upstream, locations(made, "_")["/"].status) == ("", 404)


def test_the_default_backend_service_answers_for_the_rest() -> None:
    made = configuration(world(ingress("i", path("/foo")), default_backend=("default", "shop")))
    assert locations(made)["/"].upstream == locations(made, "_")["/"].upstream == SHOP


@pytest.mark.parametrize(
    ("spec", "endpoint", "servers", "external"),
    [
        ({}, {}, ("10.244.0.5:8080",), ""),
        ({}, {"conditions": {"ready": True}}, ("10.244.0.5:8080",), ""),
        ({}, {"conditions": {"ready": False}}, (), ""),
        ({"type": "ExternalName", "externalName": "example.net"}, {}, (), "example.net:8080"),
        ({"type": "ExternalName", "externalName": "192.0.2.1"}, {}, ("192.0.2.1:8080",), ""),
    ],
)
def test_services(spec: dict[str, Any], endpoint: dict[str, Any], servers: tuple[str, ...], external: str) -> None:
    objects = {"services": [service("web", **spec)], "slices": {"web": [slice_of("web", **endpoint)]}}
    made = configuration(world(ingress("i", path("/")), **objects))
    assert tuple(server for each in made.upstreams for server in each.servers) == servers
    assert locations(made)["/"].external == external


def test_the_services_own_address_where_that_is_asked_for() -> None:
    made = configuration(world(ingress("i", path("/"), annotations={"service-upstream": "true"})))
    assert [each.servers for each in made.upstreams] == [("10.96.0.7:80",)]


def test_a_service_that_is_not_there_is_told_and_answered_with_503() -> None:
    made = configuration(world(ingress("i", path("/", service="none"), path("/p", "Exact", port=81))))
    assert problems(made) == [
        "i: BackendNotFound: service default/none does not exist",
        "i: BackendNotFound: service default/web has no port 81",
    ]
    assert (locations(made)["/"].upstream, locations(made)["/"].status) == ("", 503)


def test_services_of_two_namespaces_share_no_upstream() -> None:
    """With - between the names, a/b-c and a-b/c would."""
    other = ingress("i", path("/", service="c"), host="b.example")
    other.metadata.namespace = "a-b"
    one = ingress("i", path("/", service="b-c"))
    one.metadata.namespace = "a"
    found = {("a", "b-c"): "10.0.0.1", ("a-b", "c"): "10.0.0.2"}
    services, slices = {}, {}
    for key, address in found.items():
        services[key], slices[key] = service(key[1]), [slice_of(key[1], [address])]
    this = world(one, other)
    made = configuration(type(this)(this.ingresses, type(this.services)(services, slices), {}, this.fallback))
    assert sorted(each.servers for each in made.upstreams) == [("10.0.0.1:8080",), ("10.0.0.2:8080",)]


# --- TLS ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "tls", "own", "told"),
    [
        ("a.example", [{"hosts": ["a.example"], "secretName": "s"}], True, ""),
        ("*.example", [{"hosts": ["a.example"], "secretName": "s"}], True, ""),
        ("a.example", [{"secretName": "s"}], True, ""),  # by what the certificate is for
        ("b.example", [{"hosts": ["a.example"], "secretName": "s"}], False, "has no certificate for a.example"),
        ("a.example", [{"hosts": ["a.example"], "secretName": "none"}], False, "does not exist"),
        ("a.example", [{"hosts": ["a.example"]}], False, ""),
    ],
)
def test_tls(certificate: str, tls: list[Any], own: bool, told: str) -> None:
    made = configuration(world(ingress("i", path("/"), tls=tls), secrets=[secret("s", certificate)]))
    server = made.servers[1]
    assert server.certificate.startswith("default_s_") is own
    assert server.certificate in made.files
    assert server.tls and locations(made)["/"].to_https  # also with the default certificate, as upstream
    assert (told in "".join(problems(made))) and bool(problems(made)) is bool(told)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"tls.key": b"x"}, "has no tls.crt"),
        ({"tls.crt": b"x"}, "has no tls.key"),
        ({"tls.crt": b"x", "tls.key": b"x"}, "its certificate cannot be read"),
    ],
)
def test_a_bad_secret_never_reaches_nginx(data: dict[str, bytes], told: str) -> None:
    tls = [{"hosts": ["a.example"], "secretName": "s"}]
    made = configuration(world(ingress("i", path("/"), tls=tls), secrets=[secret("s", **data)]))
    assert told in problems(made)[0]
    assert list(made.files) == [made.servers[1].certificate]


def test_a_key_of_another_certificate() -> None:
    one, other = secret("s"), secret("t")
    one.data["tls.key"] = other.data["tls.key"]
    made = configuration(
        world(ingress("i", path("/"), tls=[{"hosts": ["a.example"], "secretName": "s"}]), secrets=[one])
    )
    assert "its key is not that of its certificate" in problems(made)[0]


@pytest.mark.parametrize(
    ("annotations", "tls", "to_https"),
    [
        ({}, [], False),
        ({}, [{"hosts": ["a.example"]}], True),
        ({"ssl-redirect": "false"}, [{"hosts": ["a.example"]}], False),
        ({"force-ssl-redirect": "true"}, [], True),
    ],
)
def test_redirects_to_https(annotations: dict[str, str], tls: list[Any], to_https: bool) -> None:
    made = configuration(world(ingress("i", path("/"), annotations=annotations, tls=tls)))
    assert locations(made)["/"].to_https is to_https


def test_who_issues_certificates_is_not_redirected() -> None:
    made = configuration(
        world(ingress("i", path("/.well-known/acme-challenge/x", "Exact"), tls=[{"hosts": ["a.example"]}]))
    )
    assert not locations(made)["= /.well-known/acme-challenge/x"].to_https


# --- regular expressions --------------------------------------------------------------------------


def test_a_host_with_regular_expressions_has_such_for_all_its_paths() -> None:
    """nginx asks them before any prefix; those of Ingresses that did not ask for them stay what the API says they are."""
    one = ingress("one", path("/api(/|$)(.*)", "ImplementationSpecific"), annotations={"rewrite-target": "/$2"})
    other = ingress("two", path("/a.b"), path("/c", "Exact"), path("/"))
    made = configuration(world(one, other))
    assert list(locations(made)) == [
        "~* ^/api(/|$)(.*)",
        "~ ^/a\\.b/",
        "~ ^/a\\.b$",
        "~ ^/c$",
        "/",
    ]
    assert locations(made)["~* ^/api(/|$)(.*)"].rewrites == "(?i)/api(/|$)(.*)"


# --- classes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "annotation", "without", "has"),
    [
        ("ours", None, False, True),
        ("others", None, False, False),
        ("none", None, True, False),
        (None, "nginx", False, True),
        (None, "traefik", True, False),
        ("others", "nginx", True, False),
        (None, None, False, False),
        (None, None, True, True),
    ],
)
def test_classes(field: str | None, annotation: str | None, without: bool, has: bool) -> None:
    known = []
    for name, controller in (("ours", CONTROLLER), ("others", "traefik.io/ingress-controller")):
        each = networking_v1.IngressClass(spec=networking_v1.IngressClassSpec(controller=controller))
        each.metadata.name = name
        known.append(each)
    meta = {"kubernetes.io/ingress.class": annotation} if annotation is not None else {}
    spec = {"ingressClassName": field} if field is not None else {}
    classes = Classes(without=without)
    assert classes.has(ingress("i", path("/"), metadata=meta, **spec), classes.names(known)) is has
