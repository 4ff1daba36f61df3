"""What annotations ask for; what is not done is told, and nothing of theirs reaches nginx but what they may say."""

from __future__ import annotations

import pytest

from pybernetes.ingress.annotations import PREFIX, parse
from pybernetes.ingress.model import Limits, Options, Sticky

DEFAULTS = Options()


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("rewrite-target", "/$2", "rewrite_target", "/$2"),
        ("rewrite-target", "/x?a=$1", "rewrite_target", "/x?a=$1"),
        ("use-regex", "true", "use_regex", True),
        ("ssl-redirect", "false", "ssl_redirect", False),
        ("backend-protocol", "grpc", "backend_protocol", "GRPC"),
        ("proxy-body-size", "8m", "body_size", "8m"),
        ("proxy-body-size", "0", "body_size", "0"),
        ("proxy-read-timeout", "3600", "read_timeout", 3600),
        (
            "whitelist-source-range",
            "10.0.0.0/8, 2001:db8::/32,192.0.2.1",
            "allowed",
            ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1/32"),
        ),
        ("server-alias", "b.example,*.c.example", "aliases", ("b.example", "*.c.example")),
        ("app-root", "/app", "app_root", "/app"),
        ("permanent-redirect", "https://b.example$request_uri", "redirect", "https://b.example$request_uri"),
        ("upstream-vhost", "inside.example", "upstream_vhost", "inside.example"),
        ("affinity", "cookie", "sticky", Sticky()),
        ("limit-rps", "10", "limits", Limits(per_second=10)),
        ("limit-rps", "0", "limits", None),  # as many as they like
        ("limit-connections", "3", "limits", Limits(connections=3)),
        ("limit-burst-multiplier", "3", "limits", None),  # of nothing
        ("x-forwarded-prefix", "/app", "forwarded_prefix", "/app"),
        ("proxy-buffering", "on", "directives", (("proxy_buffering", "on"),)),
        ("proxy-http-version", "1.0", "directives", (("proxy_http_version", "1.0"),)),
        ("proxy-next-upstream", "error http_502", "directives", (("proxy_next_upstream", "error http_502"),)),
        ("proxy-next-upstream-timeout", "7", "directives", (("proxy_next_upstream_timeout", "7s"),)),
        ("proxy-buffer-size", "16k", "directives", (("proxy_buffer_size", "16k"), ("proxy_buffers", "4 16k"))),
        ("proxy-buffers-number", "8", "directives", (("proxy_buffers", "8 4k"),)),
    ],
)
def test_one(name: str, value: str, field: str, expected: object) -> None:
    options, problems = parse({f"{PREFIX}/{name}": value}, "default")
    assert (getattr(options, field), problems) == (expected, [])


def test_codes_of_redirects() -> None:
    both = {f"{PREFIX}/permanent-redirect": "http://b.example/", f"{PREFIX}/permanent-redirect-code": "308"}
    assert parse(both, "default")[0].redirect_code == 308
    both[f"{PREFIX}/temporal-redirect"] = "http://c.example/"
    options = parse(both, "default")[0]
    assert (options.redirect, options.redirect_code) == ("http://c.example/", 302)


@pytest.mark.parametrize(
    "name", ["configuration-snippet", "server-snippet", "canary", "upstream-hash-by", "ssl-passthrough", "nonsense"]
)
def test_what_is_not_supported_is_told_by_its_name(name: str) -> None:
    options, problems = parse({f"{PREFIX}/{name}": "x"}, "default")
    assert (options, problems) == (DEFAULTS, [f"annotation {PREFIX}/{name} is not supported"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("auth-url", "https://a.example"),
        ("auth-tls-secret", "default/ca"),
        ("satisfy", "any"),
        ("whitelist-source-range", "everybody"),
        ("auth-type", "digest"),
        ("auth-type", "basic"),  # without a secret
        ("auth-secret", "passwords"),  # without a type
        ("enable-modsecurity", "true"),
    ],
)
def test_what_keeps_people_out_closes_the_paths_where_it_cannot_be_done(name: str, value: str) -> None:
    options, problems = parse({f"{PREFIX}/{name}": value}, "default")
    assert options.denied
    assert len(problems) == 1 and f"{PREFIX}/{name}" in problems[0] and "closed" in problems[0]


def test_passwords_of_another_namespace_are_not_an_ingress_to_use() -> None:
    asked = {f"{PREFIX}/auth-type": "basic", f"{PREFIX}/auth-secret": "kube-system/passwords"}
    options, problems = parse(asked, "default")
    assert options.denied and options.auth_secret is None and "kube-system" in problems[0]


HOSTILE = (
    "x; } } server { listen 81; }",
    'x"; return 200; "',
    "x\n}\nserver {",
    "${ssl_client_raw_cert}",
    "$http_cookie",
    "x\\",
    "a'b",
    "{",
    "#",
    "x y",
    "\x00",
    "lua_block",
)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize(
    "name",
    [
        "proxy-body-size",
        "proxy-read-timeout",
        "server-alias",
        "upstream-vhost",
        "backend-protocol",
        "ssl-redirect",
        "denylist-source-range",
        "app-root",
        "limit-rps",
        "limit-whitelist",
        "x-forwarded-prefix",
        "proxy-buffering",
        "proxy-buffer-size",
        "proxy-buffers-number",
        "proxy-http-version",
        "proxy-next-upstream",
        "proxy-next-upstream-tries",
    ],
)
def test_hostile_values_are_not_used(name: str, value: str) -> None:
    options, problems = parse({f"{PREFIX}/{name}": value}, "default")
    assert len(problems) == 1
    assert options == Options(denied=name == "denylist-source-range")


@pytest.mark.parametrize(
    "value", ["/$uri", "/${1}", "/$1x", "/$http_cookie", "/x;y", '/x"', "/x y", "/x\n", "/{", "/$", "/\\$1"]
)
def test_targets_of_rewrites_name_captures_and_nothing_else(value: str) -> None:
    options, problems = parse({f"{PREFIX}/rewrite-target": value}, "default")
    assert (options.rewrite_target, len(problems)) == ("", 1)


@pytest.mark.parametrize(
    "value",
    ["javascript:alert(1)", "https://$uri", "https://a/$document_uri", "https://a/\r\nX: y", "/path", 'https://a/"'],
)
def test_redirects_go_to_urls(value: str) -> None:
    options, problems = parse({f"{PREFIX}/permanent-redirect": value}, "default")
    assert (options.redirect, len(problems)) == ("", 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cors-allow-origin", 'https://a"'),
        ("cors-allow-headers", "X$y"),
        ("session-cookie-name", "a-b"),
        ("session-cookie-path", "/; Domain=x"),
    ],
)
def test_members_of_groups_are_checked(name: str, value: str) -> None:
    asked = {f"{PREFIX}/enable-cors": "true", f"{PREFIX}/affinity": "cookie", f"{PREFIX}/{name}": value}
    options, problems = parse(asked, "default")
    assert len(problems) == 1 and f"{PREFIX}/{name}" in problems[0]
    assert value not in repr(options)
