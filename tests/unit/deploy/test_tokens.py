"""Bootstrap tokens as Secrets, as rows and objects, and the join command."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from pybernetes.api.durations import short_human_duration
from pybernetes.api.types import core_v1
from pybernetes.deploy import tables, tokens
from pybernetes.deploy.configuration import token_defaults
from pybernetes.deploy.types import BootstrapToken

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
TOKEN = "abcdef.0123456789abcdef"


def test_what_is_generated() -> None:
    made = {tokens.generate(random.Random(seed).choice) for seed in range(50)}
    assert len(made) == 50
    for token in made:
        tokens.parsed(token)


def test_a_token_and_its_secret() -> None:
    """As kubeadm stores it (golden: objects.yaml)."""
    token = token_defaults(BootstrapToken(token=TOKEN, description="for tests"))
    secret = tokens.secret(token, NOW)
    assert (secret.metadata.name, secret.metadata.namespace, secret.type) == (
        "bootstrap-token-abcdef",
        "kube-system",
        "bootstrap.kubernetes.io/token",
    )
    assert secret.data == {
        "token-id": b"abcdef",
        "token-secret": b"0123456789abcdef",
        "description": b"for tests",
        "expiration": b"2026-12-01T12:00:00Z",
        "usage-bootstrap-signing": b"true",
        "usage-bootstrap-authentication": b"true",
        "auth-extra-groups": b"system:bootstrappers:kubeadm:default-node-token",
    }
    read = tokens.of_secret(secret)
    assert read.usages == ["authentication", "signing"] and read.groups == token.groups
    assert tokens.secret(read, NOW + timedelta(hours=5)).data == secret.data


@pytest.mark.parametrize(
    ("ttl", "end"),
    [("0s", None), ("", None), ("-1h", None), ("90m", NOW + timedelta(minutes=90))],
)
def test_ends(ttl: str, end: datetime | None) -> None:
    assert tokens.expires(BootstrapToken(token=TOKEN, ttl=ttl), NOW) == end


def test_an_end_beyond_all_years() -> None:
    with pytest.raises(ValueError, match="would end after the year 9999"):
        tokens.expires(BootstrapToken(token=TOKEN, ttl="2000000h"), NOW.replace(year=9990))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"token-id": b""}, "bootstrap Token Secret has no token-id data: bootstrap-token-abcdef"),
        (
            {"token-id": b"other1"},
            "bootstrap token name is not of the form 'bootstrap-token-(token-id)'. "
            'Actual: "bootstrap-token-abcdef". Expected: "bootstrap-token-other1"',
        ),
        ({"token-secret": b""}, "bootstrap Token Secret has no token-secret data: bootstrap-token-abcdef"),
        (
            {"token-secret": b"short"},
            "bootstrap Token Secret is invalid and couldn't be parsed: bootstrap-token-abcdef",
        ),
        (
            {"expiration": b"soon"},
            'can\'t parse expiration time of bootstrap token "bootstrap-token-abcdef": parsing time',
        ),
    ],
)
def test_secrets_that_are_no_tokens(change: dict[str, bytes], words: str) -> None:
    secret = tokens.secret(token_defaults(BootstrapToken(token=TOKEN)), NOW)
    secret.data = {**secret.data, **change}
    with pytest.raises(tokens.TokenError) as raised:
        tokens.of_secret(secret)
    assert str(raised.value).startswith(words) and "0123456789abcdef" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "abcdef", "abcdef.", "ABCDEF.0123456789abcdef", f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}0"]
)
def test_texts_that_are_no_tokens(text: str) -> None:
    with pytest.raises(tokens.TokenError, match="was not of the form"):
        tokens.parsed(text)


def test_names_of_tokens() -> None:
    assert tokens.named("abcdef") == tokens.named(TOKEN) == "abcdef"
    with pytest.raises(tokens.TokenError) as raised:
        tokens.named("abc")
    assert str(raised.value) == (
        r"""given token didn't match pattern "\\A([a-z0-9]{6})\\.([a-z0-9]{16})\\z" or "\\A([a-z0-9]{6})\\z" """.strip()
    )


def test_the_table() -> None:
    """As `kubeadm token list` prints it."""
    token = tokens.of_secret(tokens.secret(token_defaults(BootstrapToken(token=TOKEN)), NOW))
    forever = BootstrapToken(
        token="fedcba.0123456789abcdef", description="Proxy for managing TTL for the kubeadm-certs secret"
    )
    lines = tables.table([tokens.COLUMNS, tokens.row(token, NOW + timedelta(seconds=1))]).splitlines()
    assert lines == [
        "TOKEN                     TTL         EXPIRES                USAGES                   DESCRIPTION"
        "                                                EXTRA GROUPS",
        "abcdef.0123456789abcdef   23h         2026-12-01T12:00:00Z   authentication,signing   <none>"
        "                                                     system:bootstrappers:kubeadm:default-node-token",
    ]
    assert tokens.row(forever, NOW)[1:4] == ("<forever>", "<never>", "<none>                ")
    assert tokens.row(token, NOW + timedelta(days=2))[1] == "<invalid>"


def test_the_objects() -> None:
    token = BootstrapToken(token=TOKEN, usages=["signing"], groups=[])
    assert tables.document("BootstrapToken", tokens.output(token), "json") == (
        '{\n    "kind": "BootstrapToken",\n    "apiVersion": "output.kubeadm.k8s.io/v1alpha3",\n'
        f'    "token": "{TOKEN}",\n    "usages": [\n        "signing"\n    ]\n}}\n'
    )
    assert tables.document("BootstrapToken", tokens.output(token), "yaml", first=False) == (
        f"---\napiVersion: output.kubeadm.k8s.io/v1alpha3\nkind: BootstrapToken\ntoken: {TOKEN}\nusages:\n- signing\n"
    )


def test_the_join_command() -> None:
    head = f"pybernetes join 10.0.0.10:6443 --token {TOKEN} --discovery-token-ca-cert-hash sha256:1"
    assert tokens.join_command("https://10.0.0.10:6443", TOKEN, ["sha256:1"]) == head
    both = f"{head} --discovery-token-ca-cert-hash sha256:2 --control-plane --certificate-key ab"
    assert tokens.join_command("https://10.0.0.10:6443", TOKEN, ["sha256:1", "sha256:2"], "ab") == both


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "<invalid>"), (-1.5, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86399, "23h"),
     (86400, "1d"), (365 * 86400 - 1, "364d"), (3650 * 86400, "10y")],
)  # fmt: skip
def test_short_durations(seconds: float, text: str) -> None:
    assert short_human_duration(seconds) == text


def test_data_that_is_no_text() -> None:
    secret = core_v1.Secret()
    secret.metadata.name, secret.data = "bootstrap-token-abcdef", {"token-id": b"\xff"}
    with pytest.raises(tokens.TokenError):
        tokens.of_secret(secret)
