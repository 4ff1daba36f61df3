import base64
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from pybernetes.client.kubeconfig import load
from pybernetes.cluster import credentials
from pybernetes.cluster.credentials import CredentialsError, Endpoint
from pybernetes.cluster.layout import Layout

NOW = datetime.now(UTC)  # ssl looks at the real clock
ENDPOINT = Endpoint("node1", ("192.0.2.2",), "10.96.0.1")


def test_everything_is_made_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    made = credentials.ensure(layout, ENDPOINT, NOW)
    assert {"apiserver", "kubelet", "sa", "admin.conf", "kube-proxy.conf"} <= set(made)
    assert credentials.ensure(layout, ENDPOINT, NOW) == []


def test_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    credentials.ensure(Layout(tmp_path), ENDPOINT, NOW)
    secret = [*tmp_path.glob("pki/*.key"), *tmp_path.glob("*.conf")]
    assert len(secret) == 9 + 8
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_a_new_address_renews_what_serves_and_nothing_else(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    moved = Endpoint("node1", ("192.0.2.3",), "10.96.0.1")
    assert sorted(credentials.ensure(layout, moved, NOW)) == ["apiserver", "kubelet"]


def test_another_port_renews_the_kubeconfigs(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    made = credentials.ensure(layout, Endpoint("node1", ("192.0.2.2",), "10.96.0.1", port=7443), NOW)
    assert sorted(made) == sorted(f"{name}.conf" for name in credentials.users(ENDPOINT))


def test_what_ends_soon_is_renewed(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    first = credentials.ensure(layout, ENDPOINT, NOW)
    assert sorted(credentials.ensure(layout, ENDPOINT, NOW + timedelta(days=340))) == sorted(set(first) - {"sa"})


def test_a_kubeconfig_cut_short_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    path = layout.kubeconfig("admin")
    path.write_text(path.read_text()[:50])
    assert credentials.ensure(layout, ENDPOINT, NOW) == ["admin.conf"]


def test_half_an_authority_is_never_replaced(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    layout.key("ca").unlink()
    with pytest.raises(CredentialsError, match=r"ca\.key cannot be used .* restore them"):
        credentials.ensure(layout, ENDPOINT, NOW)


def test_kubeconfigs_load_and_name_their_users(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    for name in credentials.users(ENDPOINT):
        config = load(layout.kubeconfig(name))
        assert config.server == "https://127.0.0.1:6443"
        assert isinstance(config.ssl_context(), ssl.SSLContext)
    content = yaml.safe_load(layout.kubeconfig("kubelet").read_text())
    assert content["current-context"] == "system:node:node1@pybernetes"
    assert base64.b64decode(content["users"][0]["user"]["client-key-data"]).startswith(b"-----BEGIN EC PRIVATE KEY")


def test_a_key_of_another_certificate_is_made_anew(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    layout.key("kubelet").write_bytes(layout.key("apiserver").read_bytes())
    assert credentials.ensure(layout, ENDPOINT, NOW) == ["kubelet"]


def test_the_key_of_tokens_is_never_replaced_silently(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    credentials.ensure(layout, ENDPOINT, NOW)
    key, public = layout.key("sa").read_bytes(), (layout.pki / "sa.pub").read_bytes()
    (layout.pki / "sa.pub").unlink()
    assert credentials.ensure(layout, ENDPOINT, NOW) == ["sa"]
    assert (layout.key("sa").read_bytes(), (layout.pki / "sa.pub").read_bytes()) == (key, public)
    layout.key("sa").write_text("cut short")
    with pytest.raises(CredentialsError, match="all service-account tokens end with it"):
        credentials.ensure(layout, ENDPOINT, NOW)
